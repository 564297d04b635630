import { setMaxListeners } from "node:events";
import type { Command } from "commander";
import type { ApiClient, StatusView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { age } from "../output/moment.ts";
import { statusTree } from "../output/status-tree.ts";
import { isAway } from "../reconnect.ts";
import { interruptible } from "../terminal.ts";

const REDRAW_MS = 1000;
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const HOME_AND_CLEAR = "\u001b[H\u001b[2J";

interface StatusOptions {
  readonly watch?: boolean;
  readonly all?: boolean;
}

export function addStatus(program: Command, cli: Cli): void {
  const command = program
    .command("status")
    .description("Show services, their releases, instances and live sessions")
    .option("-w, --watch", "go on showing; into a pipe, whenever something has changed")
    .option("-a, --all", "show all releases that are retired or have failed, not the last two only")
    .action(
      cli.action(async (options: StatusOptions) => {
        const { api } = await cli.connect();
        if (options.watch) return watch(cli, api, options.all === true);
        const status = await api.status();
        if (cli.json) cli.printJson(status);
        else cli.print(draw(cli, status, options.all === true).join("\n"));
        return 0;
      }),
    );
  addExamples(command, [
    ["holdover status", "once"],
    ["holdover status -w", "until Ctrl-C"],
    ["holdover status --json", "for a script; a count of null is not known"],
  ]);
}

/** What is shown, and since when it cannot be brought up to date. */
interface Shown {
  readonly status: StatusView;
  /** Of this machine's clock, as it was when the answer came. */
  readonly atMs: number;
  readonly stale: boolean;
}

async function watch(cli: Cli, api: ApiClient, all: boolean): Promise<number> {
  // The first answer has to come: with nothing to show there is nothing to call stale.
  let shown: Shown = { status: await api.status(), atMs: cli.terminal.now(), stale: false };
  const show = cli.terminal.stdout.isTTY && !cli.json ? screen(cli, all) : blocks(cli, all);
  return interruptible(cli.terminal, async (signal) => {
    // One listener a second on one signal is no leak: each is taken off again.
    setMaxListeners(0, signal);
    try {
      for (;;) {
        show(shown);
        await cli.terminal.pause(REDRAW_MS, signal);
        if (signal.aborted) return 0;
        shown = await next(cli, api, shown);
      }
    } finally {
      if (cli.terminal.stdout.isTTY && !cli.json) cli.terminal.stdout.write(SHOW_CURSOR);
    }
  });
}

async function next(cli: Cli, api: ApiClient, before: Shown): Promise<Shown> {
  try {
    return { status: await api.status(), atMs: cli.terminal.now(), stale: false };
  } catch (error) {
    if (!isAway(error)) throw error;
    return { ...before, stale: true };
  }
}

function screen(cli: Cli, all: boolean): (shown: Shown) => void {
  const { stdout } = cli.terminal;
  stdout.write(HIDE_CURSOR);
  return ({ status, atMs, stale }) => {
    const old = age(cli.terminal.now() - atMs);
    const head = stale ? [cli.paint("red", `STALE: control does not answer; this is ${old} old.`)] : [];
    const lines = [...head, ...draw(cli, status, all)];
    const rows = (stdout.rows ?? 24) - 1;
    const fitting =
      lines.length > rows ? [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`] : lines;
    stdout.write(`${HOME_AND_CLEAR}${fitting.join("\n")}\n`);
  };
}

function blocks(cli: Cli, all: boolean): (shown: Shown) => void {
  let last = "";
  return ({ status, atMs, stale }) => {
    const facts = JSON.stringify({ ...status, nowMs: 0, stale });
    if (facts === last) return;
    const first = last === "";
    last = facts;
    if (cli.json) return cli.printJson(stale ? { ...status, stale: true } : status);
    const old = age(cli.terminal.now() - atMs);
    const lines = stale ? [`STALE: control does not answer; what is above is ${old} old.`] : draw(cli, status, all);
    cli.print([...(first ? [] : [""]), ...lines].join("\n"));
  };
}

function draw(cli: Cli, status: StatusView, all: boolean): string[] {
  return statusTree(status, { paint: cli.paint, width: cli.width, all });
}

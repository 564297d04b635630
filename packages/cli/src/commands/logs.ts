import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { linesAfter } from "../log-window.ts";
import { readCount } from "../option-values.ts";
import { patiently } from "../reconnect.ts";
import { serviceAndMaybeRelease } from "../target.ts";
import { interruptible } from "../terminal.ts";

const POLL_MS = 500;
/** Lines asked for with each poll: more than an application should write in half a second. */
const WINDOW_LINES = 2000;

interface LogsOptions {
  readonly instance?: string;
  readonly lines: number;
  readonly follow?: boolean;
}

export function addLogs(program: Command, cli: Cli): void {
  const command = program
    .command("logs")
    .description("Show what the instances of a release wrote")
    .argument("[service]", "may be left out where the configuration has just one")
    .argument("[release]", "else the current one, or the newest where none is current")
    .option("--instance <id>", "only of this instance")
    .option("-n, --lines <number>", "how many lines to begin with, 1 to 10000", readCount, 100)
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .action(
      cli.action(async (first: string | undefined, second: string | undefined, options: LogsOptions) =>
        logs(cli, first, second, options),
      ),
    );
  addExamples(command, [
    ["holdover logs", "of the current release"],
    ["holdover logs rooms v2 -n 20 -f", "go on with what is written"],
  ]);
}

async function logs(
  cli: Cli,
  first: string | undefined,
  second: string | undefined,
  options: LogsOptions,
): Promise<number> {
  const { api, located } = await cli.connect();
  const { service, release: named } = serviceAndMaybeRelease(first, second, located);
  const release = named ?? (await shownRelease(api, service));
  const read = async (count: number) => api.log(service, release, count, options.instance);
  let seen = await read(options.follow ? Math.max(WINDOW_LINES, options.lines) : options.lines);
  print(cli, seen.slice(-options.lines));
  if (!options.follow) return 0;
  return interruptible(cli.terminal, async (signal) => {
    for (;;) {
      await cli.terminal.pause(POLL_MS, signal);
      const lines = await patiently(
        cli.terminal,
        async () => read(WINDOW_LINES),
        (line) => cli.note(line),
        signal,
      );
      if (!lines || signal.aborted) return 0;
      const { fresh, gap } = linesAfter(seen, lines);
      if (gap) cli.note("… lines are missing here: more was written than can be read at once");
      print(cli, fresh);
      seen = lines;
    }
  });
}

function print(cli: Cli, lines: readonly string[]): void {
  for (const line of lines) {
    if (cli.json) cli.printJson({ line });
    else cli.print(line);
  }
}

/** @throws HoldoverError RELEASE_UNKNOWN where there is none at all */
async function shownRelease(api: ApiClient, service: string): Promise<string> {
  const { current, releases } = await api.service(service);
  const id = current ?? releases.at(-1)?.id;
  if (id !== undefined) return id;
  throw new HoldoverError("RELEASE_UNKNOWN", { service, release: "to show", known: "none yet" });
}

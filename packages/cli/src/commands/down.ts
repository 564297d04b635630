import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatDuration, HoldoverError } from "@holdover/core";
import { Option, type Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readDuration } from "../option-values.ts";
import { createProgress, type Progress } from "../output/progress.ts";
import { isAway } from "../reconnect.ts";
import { interruptible } from "../terminal.ts";

const POLL_MS = 250;
/** A control process that crashed is back within this; one that stays away longer has ended. */
const GONE_AFTER_MS = 2000;

interface DownOptions {
  readonly now?: boolean;
  readonly timeout: number;
}

export function addDown(program: Command, cli: Cli): void {
  const command = program
    .command("down")
    .description("End Holdover: takes no new session, waits for the live ones, then stops")
    .option("--now", "cut the live sessions at once instead of waiting for them")
    .addOption(
      new Option("--timeout <duration>", "stop watching after this long")
        .argParser(readDuration)
        .default(600_000, "10m"),
    )
    .action(cli.action(async (options: DownOptions) => down(cli, options)));
  addExamples(command, [
    ["holdover down", "wait for sessions up to `shutdownGrace`"],
    ["holdover down --now", "cut them, paced"],
  ]);
}

async function down(cli: Cli, options: DownOptions): Promise<number> {
  const { api, located } = await cli.connect();
  const host = await pidIn(join(located.stateDir, "run", "host.pid"));
  await api.shutdown(options.now === true);
  const progress = createProgress(cli.terminal, cli.json);
  if (!options.now)
    cli.note("What is still live after `shutdownGrace` (25s unless holdover.yaml says otherwise) is cut.");
  return interruptible(cli.terminal, async (signal) => {
    try {
      await untilGone(cli, api, progress, options.timeout, signal);
      // Control goes first; only when host has let go of its files may the next `up` have them.
      if (host !== undefined) await untilEnded(cli, host, signal);
    } finally {
      progress.done();
    }
    if (signal.aborted) {
      cli.note("Holdover goes on shutting down. Cut what is left with `holdover down --now`.");
      return 130;
    }
    if (cli.json) cli.printJson({ ended: true });
    else cli.print("Holdover has ended.");
    return 0;
  });
}

/** @throws HoldoverError SHUTDOWN_TIMEOUT when it is still there after `timeoutMs` */
async function untilGone(
  cli: Cli,
  api: ApiClient,
  progress: Progress,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  let awaySince: number | undefined;
  let left = "? live sessions left";
  while (!signal.aborted) {
    try {
      const { services } = await api.status();
      awaySince = undefined;
      const counts = services.map(({ sessions }) => sessions);
      const known = counts.every((count) => count !== null);
      const live = counts.reduce((sum, count) => sum + (count ? count.open + count.lingering : 0), 0);
      left = `${known ? live : "?"} live ${known && live === 1 ? "session" : "sessions"} left`;
      progress.step(`Shutting down: ${left}`);
    } catch (error) {
      if (!isAway(error)) throw error;
      awaySince ??= performance.now();
      // A socket file that was taken away is an orderly end; one that refuses may be a restart.
      const removed = error.cause instanceof Error && "code" in error.cause && error.cause.code === "ENOENT";
      if (removed || performance.now() - awaySince > GONE_AFTER_MS) return;
    }
    if (performance.now() - startedAt > timeoutMs) {
      throw new HoldoverError("SHUTDOWN_TIMEOUT", { timeout: formatDuration(timeoutMs), left });
    }
    await cli.terminal.pause(POLL_MS, signal);
  }
}

async function untilEnded(cli: Cli, pid: number, signal: AbortSignal): Promise<void> {
  while (runs(pid) && !signal.aborted) await cli.terminal.pause(POLL_MS, signal);
}

async function pidIn(file: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(file, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

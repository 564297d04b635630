import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { REPOSITORY } from "@holdover/testkit/cluster";
import { statusUntil, type ClusterStatus } from "@holdover/testkit/cluster-api";
import { MARKER, stateDirOf } from "@holdover/testkit/cluster-processes";
import { expect, vi } from "vitest";
import { parse } from "yaml";

const START = fileURLToPath(new URL("start.ts", import.meta.url));
const REAPER = fileURLToPath(new URL("../packages/testkit/src/cluster-reaper.ts", import.meta.url));
const UNTIL_MS = 30_000;

const endings: (() => Promise<unknown>)[] = [];

/** Ends what {@link start} began, whatever became of it. */
export async function endAll(): Promise<void> {
  for (const end of endings.splice(0).toReversed()) await end();
}

export interface Started {
  readonly child: ChildProcess;
  /** Where it was typed. As in the repository, `examples` and a holdover.yaml are in it. */
  readonly directory: string;
  readonly apiSocket: string;
  /** For other commands that are typed beside it. */
  readonly env: NodeJS.ProcessEnv;
  /** All that was written so far. */
  output(): string;
  /** Resolves when this was written. */
  wrote(text: string | RegExp): Promise<unknown>;
  until<Found>(what: string, check: (status: ClusterStatus) => Found | undefined | false): Promise<Found>;
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;
}

/**
 * `npm start` by the repository's holdover.yaml, but on free ports and with a state of its own.
 * @param words what stands after `npm start --`
 * @param terminal in a terminal: what is written to the child's standard input is typed
 */
export async function start(words: readonly string[] = [], { terminal = false } = {}): Promise<Started> {
  const directory = await mkdtemp(join(REPOSITORY, ".holdover-"));
  const reaper = spawn(process.execPath, [REAPER, directory], { stdio: ["pipe", "ignore", "inherit"], detached: true });
  const reaped = once(reaper, "exit");
  endings.push(() => {
    reaper.stdin.end();
    return reaped;
  });
  await symlink(join(REPOSITORY, "examples"), join(directory, "examples"));
  const sample = parse(await readFile(join(REPOSITORY, "holdover.yaml"), "utf8")) as object;
  const config = { ...sample, state: "state", listen: "127.0.0.1:0", api: "127.0.0.1:0" };
  await writeFile(join(directory, "holdover.yaml"), JSON.stringify(config));

  const command = [process.execPath, START, ...words];
  // The one of util-linux: a terminal of its own for the command, with its exit code.
  const [program = "", ...rest] = terminal ? ["script", "-qefc", `exec ${command.join(" ")}`, "/dev/null"] : command;
  const env = { ...process.env, [MARKER]: directory, NO_COLOR: "1" };
  const stdio = [terminal ? "pipe" : "ignore", "pipe", "pipe"] as const;
  const child = spawn(program, rest, { cwd: directory, env, stdio: [...stdio] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (output += String(chunk)));
  const apiSocket = join(stateDirOf(directory), "run", "control.sock");
  return {
    child,
    directory,
    apiSocket,
    env,
    output: () => output,
    wrote: (text) => vi.waitFor(() => expect(output).toMatch(text)),
    until: (what, check) => statusUntil(apiSocket, what, check, UNTIL_MS),
    exit: once(child, "close") as Started["exit"],
  };
}

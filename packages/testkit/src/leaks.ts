import { readdirSync, readFileSync } from "node:fs";
import { afterAll } from "vitest";

/**
 * A vitest setup file: a test file that leaves a child process, a server, a socket, a watcher or a timer behind fails.
 * What vitest itself holds was there before the file began and is not counted.
 */

/** Passing things that end by themselves within a turn or two, and the turn's own immediate. */
const PASSING = new Set([
  "CloseReq",
  "FSReqCallback",
  "FSReqPromise",
  "Immediate",
  "TickObject",
  "ShutdownWrap",
  "WriteWrap",
]);
/**
 * What is being closed needs turns of the event loop, and the other end's too, to be gone. Each turn gives the kernel
 * a moment as well; what is still there after so many is not being closed.
 */
const TURNS = 300;
/**
 * Vitest reports its progress by a timer of this many ms. Timers of one length run in the order in which they were set,
 * so that one of ours runs after the one of vitest's that may be pending, and that is gone when ours has run.
 */
const PROGRESS_MS = 100;

// The real ones, whatever a test file does to the global ones.
const { setImmediate: turn, setTimeout: later } = globalThis;
const before = tally(process.getActiveResourcesInfo());
const childrenBefore = new Set(childProcesses());

// No time limit of vitest's: that would be a timer too, and the turns are bounded.
afterAll(async () => {
  let left = leftBehind();
  for (let rounds = 0; left.length > 0 && rounds < 3; rounds++) {
    if (rounds > 0) await new Promise<void>((resolve) => later(resolve, PROGRESS_MS));
    left = leftBehind();
    for (let turns = 0; left.length > 0 && turns < TURNS; turns++) {
      await new Promise<void>((resolve) => turn(resolve));
      left = leftBehind();
    }
  }
  const children = childProcesses().filter((pid) => !childrenBefore.has(pid));
  if (left.length === 0 && children.length === 0) return;
  throw new Error(
    [
      "This test file left something behind:",
      ...left.map(({ kind, count }) => `  ${count} × ${kind}`),
      ...children.map((pid) => `  child process ${pid}: ${commandOf(pid)}`),
      ...handles(new Set(left.map(({ kind }) => kind))),
    ].join("\n"),
  );
}, 0);

function leftBehind(): { kind: string; count: number }[] {
  return [...tally(process.getActiveResourcesInfo())]
    .map(([kind, count]) => ({ kind, count: count - (before.get(kind) ?? 0) }))
    .filter(({ kind, count }) => count > 0 && !PASSING.has(kind));
}

function tally(kinds: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Children of this process, unreferenced and detached ones too, which are no active resource. Known on Linux alone. */
function childProcesses(): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === process.pid)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    // The name of the program stands in brackets and may contain anything; state and parent come after it.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim() || "ended, but not waited for";
  } catch {
    return "just ended";
  }
}

/** Addresses, process ids and times of what is active now, for a reader who looks for it. */
function handles(kinds: ReadonlySet<string>): string[] {
  if (!process.report || kinds.size === 0) return [];
  // Else it asks the resolver for a name of every address. Not in the types yet.
  Object.assign(process.report, { excludeNetwork: true });
  const { libuv } = process.report.getReport() as {
    libuv: {
      type: string;
      is_referenced: boolean;
      is_active: boolean;
      localEndpoint?: Endpoint;
      remoteEndpoint?: Endpoint;
      pid?: number;
      filename?: string;
    }[];
  };
  return libuv
    .filter(
      (one) => one.is_active && one.is_referenced && ["tcp", "udp", "pipe", "process", "fs_event"].includes(one.type),
    )
    .map((one) => {
      const facts = [endpoint(one.localEndpoint), endpoint(one.remoteEndpoint), one.pid, one.filename];
      return [one.type, ...facts.filter(Boolean)].join(" ");
    })
    .filter((line) => line !== "pipe")
    .map((line) => `  active: ${line}`);
}

interface Endpoint {
  readonly host?: string;
  readonly ip4?: string;
  readonly port?: number;
}

function endpoint(end: Endpoint | undefined): string | undefined {
  return end && [end.ip4 ?? end.host, end.port].filter((part) => part !== undefined).join(":");
}

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** What the kernel tells of a process. Linux only. */
export interface ProcessFacts {
  readonly pid: number;
  readonly name: string;
  /** It has ended and only waits for its parent to ask how; in a container without an init it may wait for ever. */
  readonly defunct: boolean;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** When it began; together with the pid it names one process for ever, across reboots too. */
  readonly startTime: string;
}

const isLinux = process.platform === "linux";

/** How many files of /proc are read at a time: the pool of threads is shared with all of the host's file work. */
const READ_AT_ONCE = 16;

/** Reads one line of /proc/<pid>/stat. The name stands in parentheses and may hold spaces and parentheses itself. */
export function parseStat(line: string, boot: string): ProcessFacts | null {
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  if (open < 0 || close < open) return null;
  const rest = line.slice(close + 2).split(" ");
  const startTicks = rest[19];
  if (startTicks === undefined) return null;
  return {
    pid: Number.parseInt(line, 10),
    name: line.slice(open + 1, close),
    defunct: rest[0] === "Z" || rest[0] === "X",
    parent: Number(rest[1]),
    group: Number(rest[2]),
    session: Number(rest[3]),
    startTime: `${boot}/${startTicks}`,
  };
}

let bootId: string | undefined;

/** Start times count from boot: without this a service that always starts at the same tick could be taken for another. */
function boot(): string {
  bootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return bootId;
}

/** Null where there is no such process, or where it cannot be known (not Linux). */
export function factsOf(pid: number): ProcessFacts | null {
  if (!isLinux) return null;
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), boot());
  } catch {
    return null;
  }
}

/** Every process of the machine; empty where it cannot be known. */
export async function allProcesses(): Promise<ProcessFacts[]> {
  const facts: ProcessFacts[] = [];
  await forEachPid(async (pid) => {
    const one = parseStat(await readFile(`/proc/${pid}/stat`, "utf8"), boot());
    if (one) facts.push(one);
  });
  return facts;
}

/** Those of the processes whose environment holds one of `wanted` as the value of `variable`, by that value. */
export async function findByEnvironment(variable: string, wanted: ReadonlySet<string>): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  if (wanted.size === 0) return found;
  await forEachPid(async (pid) => {
    const environment = await readFile(`/proc/${pid}/environ`, "latin1");
    for (const entry of environment.split("\0")) {
      if (!entry.startsWith(`${variable}=`)) continue;
      const value = entry.slice(variable.length + 1);
      if (wanted.has(value)) found.set(value, [...(found.get(value) ?? []), pid]);
    }
  });
  return found;
}

/** Processes come and go while they are listed, and those of others may be closed to us: both are passed over. */
async function forEachPid(visit: (pid: number) => Promise<void>): Promise<void> {
  if (!isLinux) return;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  for (let from = 0; from < pids.length; from += READ_AT_ONCE) {
    await Promise.all(pids.slice(from, from + READ_AT_ONCE).map((pid) => visit(pid).catch(() => undefined)));
  }
}

/** When a running process began, in words that are only good for comparing; null when it does not run. */
export async function startTimeOf(pid: number): Promise<string | null> {
  if (!isLinux) return startTimeByPs(pid);
  const facts = factsOf(pid);
  return facts && !facts.defunct ? facts.startTime : null;
}

/** The same from `ps`, to the second, for systems without /proc. */
export async function startTimeByPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
      timeout: 5000,
    });
    const match = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout);
    return match?.[1] && match[2] && !match[1].startsWith("Z") ? match[2] : null;
  } catch {
    return null;
  }
}

/**
 * Whether the process that began at `startTime` still runs under its pid; cheap enough to be asked five times a second.
 * Where the start time cannot be read (not Linux, or a /proc that hides other users) the pid alone has to do: between
 * two questions the whole range of pids would have to be used up for a mistake.
 */
export function stillRuns(pid: number, startTime: string): boolean {
  if (!exists(pid)) return false;
  const facts = factsOf(pid);
  return facts === null || (!facts.defunct && facts.startTime === startTime);
}

/** Whether any process of the group still runs. */
export async function groupRuns(leader: number): Promise<boolean> {
  if (!exists(-leader)) return false;
  if (!isLinux) return true;
  return allProcesses().then(
    (all) => all.some((one) => one.group === leader && !one.defunct),
    // The list cannot be had, perhaps for want of file descriptors; kill() has said that there is somebody.
    () => true,
  );
}

/**
 * Signals every process of the group that `leader` began at `startTime`. A group outlives its leader, and no process is
 * given a pid while a group of that number lives; so a leader with another start time means that the group is gone.
 * @param startTime null where it could not be read
 */
export function signalGroup(leader: number, startTime: string | null, signal: NodeJS.Signals): boolean {
  assertPid(leader);
  const facts = factsOf(leader);
  if (facts !== null && startTime !== null && facts.startTime !== startTime) return false;
  try {
    process.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

function exists(target: number): boolean {
  assertPid(Math.abs(target));
  try {
    process.kill(target, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** kill(-1) would signal every process of the user, and kill(0) the host's own group. */
function assertPid(pid: number): void {
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pid} is not the pid of an instance`);
}

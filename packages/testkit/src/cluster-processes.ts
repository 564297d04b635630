import { readdirSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** In the environment of every process of a cluster: instances inherit it, and so does what they start. */
export const MARKER = "CLUSTER_IN_A_BOX";

/** Every process of the cluster in this directory, detached ones and their children too. */
export async function processesOf(directory: string): Promise<number[]> {
  return process.platform === "linux" ? markedProcesses(directory) : recordedProcesses(directory);
}

/** The kernel knows best, also of a process whose start nobody has written down yet. */
function markedProcesses(directory: string): number[] {
  const mark = `${MARKER}=${directory}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark);
      } catch {
        // It has ended, or it is another user's.
        return false;
      }
    })
    .map(Number);
}

/** What Holdover has written down, for systems without /proc. */
async function recordedProcesses(directory: string): Promise<number[]> {
  const state = stateDirOf(directory);
  const pids = await Promise.all([
    hostPidOf(state),
    controlPidOf(state),
    ...(await instanceFiles(state)).map(pidInRecord),
  ]);
  return pids.filter((pid) => pid !== undefined).filter(isAlive);
}

export function stateDirOf(directory: string): string {
  return join(directory, "state");
}

export async function hostPidOf(stateDir: string): Promise<number | undefined> {
  return pidIn(join(stateDir, "run", "host.pid"));
}

export async function controlPidOf(stateDir: string): Promise<number | undefined> {
  return pidIn(join(stateDir, "run", "control.pid"));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when a process that was killed has ended. Not being our child, it tells nobody here. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid) && !isZombie(pid)) await delay(2);
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}

async function instanceFiles(stateDir: string): Promise<string[]> {
  const dir = join(stateDir, "instances");
  const names = await readdir(dir).catch(() => []);
  return names.filter((name) => name.endsWith(".json")).map((name) => join(dir, name));
}

async function pidInRecord(file: string): Promise<number | undefined> {
  try {
    const { instance } = JSON.parse(await readFile(file, "utf8")) as { instance: { pid: number | null } };
    return instance.pid ?? undefined;
  } catch {
    return undefined;
  }
}

async function pidIn(file: string): Promise<number | undefined> {
  const text = await readFile(file, "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return pid > 1 ? pid : undefined;
}

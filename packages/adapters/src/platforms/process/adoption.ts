import { isAlive, toInstanceState, type Instance } from "@holdover/core";
import { factsOf, findByEnvironment, startTimeOf } from "./process-table.ts";
import type { InstanceRecord, Records } from "./records.ts";

/** The process that leads an instance's group. */
interface Leader {
  readonly pid: number;
  readonly startTime: string;
}

export interface Adoptable {
  readonly record: InstanceRecord;
  /** Null for an instance that has ended. */
  readonly leader: Leader | null;
}

type Log = (event: string, detail: Readonly<Record<string, unknown>>) => void;

/**
 * Sets what the records say against what runs. An instance whose process is not there any more has ended, now; what is
 * left of its group is killed. In the order in which they were started.
 */
export async function adoptRecords(records: Records, nowMs: number, log: Log): Promise<Adoptable[]> {
  const { records: found, unreadable } = await records.readAll();
  for (const file of unreadable) log("record-unreadable", { file });
  const alive: Adoptable[] = [];
  const missing: InstanceRecord[] = [];
  const ended: Adoptable[] = [];
  for (const record of found) {
    if (!isAlive(record.instance)) {
      ended.push({ record, leader: null });
      continue;
    }
    const leader = await leaderOf(record);
    if (leader) alive.push({ record, leader });
    else missing.push(record);
  }
  const byToken = await findByEnvironment("HOLDOVER_START", new Set(missing.map((record) => record.startToken)));
  for (const record of missing) {
    const processes = byToken.get(record.startToken) ?? [];
    const leader = record.instance.pid === null ? await leaderAmong(processes) : null;
    if (leader) {
      alive.push({ record, leader });
      continue;
    }
    killAll(processes, record.startToken, log);
    ended.push({ record: { ...record, instance: endedUnseen(record.instance, nowMs) }, leader: null });
    log("instance-gone", { instance: record.instance.id, pid: record.instance.pid });
  }
  for (const { record, leader } of alive) {
    log("instance-adopted", { instance: record.instance.id, pid: leader?.pid, state: record.instance.state.name });
  }
  return [...alive, ...ended].sort((one, other) => byStart(one.record.instance, other.record.instance));
}

function byStart(one: Instance, other: Instance): number {
  return one.startedAtMs - other.startedAtMs || one.id.localeCompare(other.id, "en", { numeric: true });
}

/** The process of the record, if it is still the same: a pid alone may be anybody's by now. */
async function leaderOf(record: InstanceRecord): Promise<Leader | null> {
  const { pid } = record.instance;
  if (pid === null || record.startTime === null) return null;
  return (await startTimeOf(pid)) === record.startTime ? { pid, startTime: record.startTime } : null;
}

/** The host died between the spawn and the note of the pid. */
async function leaderAmong(pids: readonly number[]): Promise<Leader | null> {
  for (const pid of pids) {
    const facts = factsOf(pid);
    if (facts && facts.group === pid && !facts.defunct) return { pid, startTime: facts.startTime };
  }
  return null;
}

/** One by one, as known by their token: the number of the group may belong to others after so long a time. */
function killAll(pids: readonly number[], startToken: string, log: Log): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
      log("leftover-killed", { pid, startToken });
    } catch {
      // It ended by itself in between.
    }
  }
}

function endedUnseen(instance: Instance, nowMs: number): Instance {
  const exit = {
    atMs: nowMs,
    code: null,
    signal: null,
    problem: "it ended while no host process ran, so its exit code is not known",
  };
  return instance.state.name === "draining"
    ? toInstanceState(instance, { name: "stopped", sinceMs: nowMs, exit: { ...exit, error: null } })
    : toInstanceState(instance, { name: "lost", sinceMs: nowMs, exit: { ...exit, error: "INSTANCE_EXITED" } });
}

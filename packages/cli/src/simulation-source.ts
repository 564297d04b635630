import { createReadStream } from "node:fs";
import { basename, resolve } from "node:path";
import { formatDuration, HoldoverError, problemOf } from "@holdover/core";
import { parseTrace, type Trace } from "@holdover/simulator";
import type { ApiClient } from "./api-client.ts";

/** The sessions that a simulation plays, and where they come from. */
export interface SimulationSource {
  readonly name: string;
  readonly trace: Trace;
  /** Deploys before it would meet sessions that are missing, ms from the beginning. */
  readonly knownFromMs: number;
  /** What a reader has to know of where the sessions come from. */
  readonly notes: readonly string[];
}

/** Five million sessions of 50 bytes: more a trace may not have. */
const MOST_BYTES = 256 * 1024 * 1024;
/** What the API gives at once. */
export const MOST_HISTORY = 10_000;

/** @throws HoldoverError USAGE_INVALID where the file cannot be read, or is no trace */
export async function sourceOfFile(file: string, cwd: string): Promise<SimulationSource> {
  const name = basename(file);
  return { name, trace: parseTrace(name, await textOf(file, resolve(cwd, file))), knownFromMs: 0, notes: [] };
}

async function textOf(shown: string, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      bytes += (chunk as Buffer).length;
      if (bytes > MOST_BYTES) break;
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    throw refused(`${shown} cannot be read: ${reasonOf(error)}`, "Name a CSV file of start_s,duration_s.", error);
  }
  if (bytes > MOST_BYTES) throw refused(`${shown} is over ${MOST_BYTES} bytes`, "Split the trace in time.");
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * A service's own history: its newest ended sessions, and those that are live, as if they ended now.
 *
 * @throws HoldoverError SERVICE_UNKNOWN; USAGE_INVALID where no session has ended yet
 */
export async function sourceOfService(api: ApiClient, service: string): Promise<SimulationSource> {
  const { name } = await api.service(service);
  const ended = await api.history({ service: name, limit: MOST_HISTORY });
  if (ended.length === 0) {
    throw refused(
      `No session of ${name} has ended yet, so there is nothing to simulate.`,
      "Give a trace: --trace FILE.",
    );
  }
  const { sessions: live } = await api.sessions({ service: name, limit: MOST_HISTORY });
  const newestMs = ended.reduce((newest, { endedAtMs }) => Math.max(newest, endedAtMs), 0);
  const oldestMs = ended.reduce((oldest, { endedAtMs }) => Math.min(oldest, endedAtMs), Infinity);
  const rows = [
    ...ended.map(({ openedAtMs, endedAtMs }) => [openedAtMs, Math.max(0, endedAtMs - openedAtMs)] as const),
    ...live.map(({ openedAtMs }) => [openedAtMs, Math.max(0, newestMs - openedAtMs)] as const),
  ].toSorted(([a], [b]) => a - b);
  const beginMs = rows[0]?.[0] ?? 0;
  const forced = ended.filter(({ reason }) => reason !== "hangup" && reason !== "expired").length;
  const full = ended.length === MOST_HISTORY;
  return {
    name,
    trace: {
      startMs: Float64Array.from(rows, ([openedAtMs]) => openedAtMs - beginMs),
      durationMs: Float64Array.from(rows, ([, lengthMs]) => lengthMs),
    },
    knownFromMs: full ? oldestMs - beginMs : 0,
    notes: [
      `${full ? "the newest " : ""}${ended.length} ended sessions, over ${formatDuration(newestMs - oldestMs)}`,
      ...(live.length > 0 ? [`${live.length} live ones count as if they had ended with the last of these`] : []),
      ...(forced > 0 ? [`${forced} were moved, cut or lost: by themselves they would have lasted longer`] : []),
    ],
  };
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "there is no such file";
    case "EISDIR":
      return "it is a directory";
    case "EACCES":
      return "it is not allowed";
    default:
      return problemOf(error);
  }
}

function refused(problem: string, remedy: string, cause?: unknown): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy }, { cause });
}

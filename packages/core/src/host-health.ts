import { z } from "zod";
import type { Latencies } from "./latencies.ts";

const storeHealth = z.object({
  /** On disk, with its log. */
  bytes: z.int(),
  /** Changes that it did not take and queries that it did not answer, since it was opened. */
  failures: z.int(),
  /** What was the matter the last time; null once a change was stored since. */
  problem: z.string().nullable(),
});

/** How a database is. */
export type StoreHealth = z.output<typeof storeHealth>;

/** How the host process is, as it tells control every few seconds. */
export const hostHealth = z.object({
  /** Epoch time of its start. */
  startedAtMs: z.number(),
  /** Processor time that it has used, in user and system mode, seconds. */
  cpuS: z.number(),
  residentBytes: z.int(),
  heapUsedBytes: z.int(),
  /** How late its event loop was in the last half minute, seconds. */
  loopLag: z.object({ p50S: z.number(), p99S: z.number(), maxS: z.number() }),
  /** host.db. */
  store: storeHealth,
  /** Session events that control has not stored yet, and those that were given up, ever; null: the store does not tell. */
  events: z.object({ waiting: z.int(), dropped: z.int() }).nullable(),
  /** How often it was linked to a control process. */
  links: z.int(),
  /** Sessions that it holds at the most. */
  sessionsMost: z.int(),
});

export type HostHealth = z.output<typeof hostHealth>;

/** The control link as control sees it. */
export interface LinkHealth {
  /** How long ago the host said anything, ms; null: it is not linked. */
  readonly silentMs: number | null;
  /** What the host tells of its process; null while that is not known. */
  readonly host: HostHealth | null;
  /** How long the host took to have a table in force, from when it was to be signed. */
  readonly applying: Latencies;
}

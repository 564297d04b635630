import type { BreakerState } from "./agent-breaker.ts";
import type { Refusal } from "@holdover/core";

/** `draining`: nothing new is taken; `forcing`: what was left is being cut; `drained`: nothing runs, and run() ends. */
export type DrainPhase = "none" | "draining" | "forcing" | "drained";

export interface RuntimeSnapshot {
  readonly version: string;
  readonly draining: {
    readonly phase: DrainPhase;
    /** Epoch ms; null in phase `none`. */
    readonly sinceMs: number | null;
    /** What it was begun by: a call, a signal, or the release, which takes no new sessions any more. */
    readonly by: "call" | "signal" | "release" | null;
    /** When what is left is cut, epoch ms; null: never by the pool. */
    readonly deadlineMs: number | null;
  };
  readonly sessions: {
    /** Running, and accepted ones that are not confirmed yet: what counts for the limits. */
    readonly active: number;
    readonly reserved: number;
    readonly byAgent: Readonly<Record<string, number>>;
    readonly byTenant: Readonly<Record<string, number>>;
  };
  /** Since the pool was made. started = running + completed + failed + cut + lost. */
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
  readonly cut: number;
  readonly lost: number;
  /** Offers that were refused, by reason. */
  readonly refused: Readonly<Partial<Record<Refusal, number>>>;
  /** Whether it stopped after failures in a row. */
  readonly failureLimit: BreakerState;
  /** When the last session that runs now ends, epoch ms: a plain estimate from sessions that ended here; null: unknown. */
  readonly etaMs: number | null;
  /** Calls of observers and of the audit sink that failed. */
  readonly watcherFailures: number;
  readonly residentBytes: number;
}

import { lengthQuantile, kaplanMeier } from "./survival.ts";

/** Lengths of sessions that ended, in columns, ms. One that was ended by force (1) would have lasted longer. */
export interface EndedLengths {
  /** How many ended; the columns may be an even sample of them. */
  readonly ends: number;
  readonly lengthMs: Float64Array;
  readonly forced: Uint8Array;
}

/** Fewer natural ends than this tell no quantile. */
const LEAST_ENDS = 10;

/** Quantiles of how long sessions lasted, ms; null where nobody knows. */
export interface LengthQuantiles {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/**
 * Of sessions that ended, on one day for instance: the Kaplan–Meier estimate, those that were ended by force right-censored.
 * Sessions that went on are not in it: it tells what was over then, to be held against another day.
 */
export function endedQuantiles({ lengthMs, forced }: EndedLengths): LengthQuantiles {
  const estimate = kaplanMeier({
    entry: new Float64Array(lengthMs.length),
    exit: lengthMs,
    ended: forced.map((one) => (one === 1 ? 0 : 1)),
  });
  const at = (share: number): number | null =>
    estimate.ends < LEAST_ENDS ? null : (lengthQuantile(estimate, share) ?? null);
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

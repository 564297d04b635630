import { z } from "zod";

/**
 * Upper ends of the buckets in which latencies are counted, in seconds; the last bucket has none. They are fixed, so that
 * what two processes counted can be added up.
 */
export const LATENCY_BOUNDS_S: readonly number[] = [
  0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];

const BOUNDS_MS = LATENCY_BOUNDS_S.map((bound) => bound * 1000);
const BUCKETS = BOUNDS_MS.length + 1;

export const latencies = z.object({
  /** How many fell into each bucket alone: one number more than there are bounds. */
  counts: z.array(z.int().nonnegative()).length(BUCKETS),
  sumS: z.number().nonnegative(),
});

/** Latencies as they were counted since a process began. */
export type Latencies = z.output<typeof latencies>;

/** Counts latencies. Cheap enough for every request: it allocates nothing. */
export class LatencyCounts {
  readonly #counts = new Float64Array(BUCKETS);
  #sumMs = 0;

  /** @param ms below 0, as by a clock that stepped back, counts as 0 */
  add(ms: number): void {
    const took = ms > 0 ? ms : 0;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && took > (BOUNDS_MS[bucket] as number)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sumMs += took;
  }

  read(): Latencies {
    return { counts: [...this.#counts], sumS: this.#sumMs / 1000 };
  }
}

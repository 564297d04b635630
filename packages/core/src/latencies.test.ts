import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LATENCY_BOUNDS_S, latencies, LatencyCounts } from "./latencies.ts";

/** Any, and often one that is on the edge of a bucket. */
const some = fc.oneof(
  fc.double({ min: 0, max: 10_000, noNaN: true }),
  fc.constantFrom(...LATENCY_BOUNDS_S.map((bound) => bound * 1000)),
);

describe("counted latencies", () => {
  test("are each in the one bucket whose end is the first that is not below them", () => {
    fc.assert(
      fc.property(fc.array(some, { maxLength: 50 }), (ms) => {
        const counts = new LatencyCounts();
        for (const one of ms) counts.add(one);
        const read = counts.read();
        // As Prometheus counts them: how many are at or below each bound.
        let upTo = 0;
        for (const [bucket, bound] of LATENCY_BOUNDS_S.entries()) {
          upTo += read.counts[bucket] ?? 0;
          expect(upTo).toBe(ms.filter((one) => one <= bound * 1000).length);
        }
        expect(upTo + (read.counts.at(-1) ?? 0)).toBe(ms.length);
        expect(read.sumS).toBeCloseTo(ms.reduce((sum, one) => sum + one, 0) / 1000);
        expect(latencies.parse(read)).toEqual(read);
      }),
    );
  });

  test("that came out below nothing, by a clock that stepped back, or as no number count as nothing", () => {
    const counts = new LatencyCounts();
    for (const odd of [-5, Number.NaN, 0]) counts.add(odd);
    expect(counts.read()).toMatchObject({ counts: [3, ...Array<number>(LATENCY_BOUNDS_S.length).fill(0)], sumS: 0 });
  });

  test("have bounds that rise, and from which nobody can take one away", () => {
    expect(LATENCY_BOUNDS_S.toSorted((a, b) => a - b)).toEqual(LATENCY_BOUNDS_S);
    expect(() => latencies.parse({ counts: [1, 2], sumS: 1 })).toThrow(/Too small/);
  });
});

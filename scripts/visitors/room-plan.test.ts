import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LONGEST_MS, MOST_VISITORS, planRoom } from "./room-plan.ts";

const draws = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));

function from(stream: Iterator<number, undefined>): () => number {
  return () => stream.next().value ?? 0;
}

test("nobody is in a room before it opens or after it ends, and a stay begins after the one before it", () => {
  fc.assert(
    fc.property(draws, (stream) => {
      const { lengthMs, visitors } = planRoom(from(stream));
      expect(lengthMs).toBeLessThanOrEqual(LONGEST_MS);
      expect(visitors.length).toBeLessThanOrEqual(MOST_VISITORS);
      expect(visitors[0]?.[0]?.fromMs).toBe(0);
      for (const stays of visitors) {
        const moments = [0, ...stays.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]), lengthMs];
        expect(moments).toEqual(moments.toSorted((a, b) => a - b));
      }
    }),
  );
});

test("most rooms are over within a minute and some last for minutes, so that old releases retire one after the other", () => {
  // A linear congruential generator (Numerical Recipes): the same draws in every run.
  let state = 1;
  const random = (): number => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
  const seconds = Array.from({ length: 2000 }, () => planRoom(random).lengthMs / 1000).toSorted((a, b) => a - b);
  const quantile = (share: number): number => seconds[Math.floor(share * seconds.length)] ?? 0;
  expect(quantile(0.5)).toBeGreaterThan(20);
  expect(quantile(0.75)).toBeLessThan(70);
  expect(quantile(0.95)).toBeGreaterThan(120);
  expect(quantile(0.99)).toBeGreaterThan(240);
});

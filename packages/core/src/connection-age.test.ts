import * as fc from "fast-check";
import { expect, test } from "vitest";
import { jitteredAge } from "./connection-age.ts";

test.each([
  [0, 54_000],
  [0.25, 57_000],
  [0.5, 60_000],
  [1, 66_000],
])("a minute with %d is %d ms", (random, ageMs) => {
  expect(jitteredAge(60_000, random)).toBeCloseTo(ageMs, 6);
});

test("an age is never more than a tenth off", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e12 }), random, (maxAgeMs, random) => {
      expect(Math.abs(jitteredAge(maxAgeMs, random) - maxAgeMs)).toBeLessThanOrEqual(maxAgeMs * (0.1 + 1e-12));
    }),
  );
});

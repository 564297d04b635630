import * as fc from "fast-check";
import { expect, test } from "vitest";
import { lifeSample } from "./life-sample.ts";
import { survivalCurve } from "./survival-curve.ts";
import { kaplanMeier, survivalAt } from "./survival.ts";

const MOST = 40;
const rows = fc.array(fc.record({ exit: fc.integer({ min: 0, max: 5000 }), ended: fc.boolean() }), {
  maxLength: 300,
  size: "max",
});
const start = { ageMs: 0, share: 1 };

test("the curve is made of steps of the estimate, from the first to the last, and never of more points than asked for", () => {
  fc.assert(
    fc.property(rows, (sample) => {
      const estimate = kaplanMeier(lifeSample(sample));
      const curve = survivalCurve(estimate, MOST);
      expect(curve.length).toBeLessThanOrEqual(MOST);
      const steps = Array.from(estimate.ages, (ageMs) => ({ ageMs, share: survivalAt(estimate, ageMs) }));
      const all = [start, ...steps];
      expect([curve[0], curve.at(-1)]).toEqual([start, all.at(-1)]);
      expect(curve).toHaveLength(all.length <= MOST ? all.length : curve.length);
      const known = new Map(all.map(({ ageMs, share }) => [ageMs, share]));
      expect(curve.slice(1).every(({ ageMs, share }) => known.get(ageMs) === share)).toBe(true);
      expect(curve.slice(1).every(({ ageMs }, index) => ageMs >= (curve[index]?.ageMs ?? 0))).toBe(true);
    }),
  );
});

test("no stretch is left out: where points are missing the estimate hardly falls, and hardly any time goes by", () => {
  const exits = Array.from({ length: 3000 }, (_, index) => ({ exit: 1000 * 1.003 ** index, ended: true }));
  const estimate = kaplanMeier(lifeSample(exits));
  const curve = survivalCurve(estimate, 120);
  const last = curve.at(-1)?.ageMs ?? 0;
  const steps = curve.slice(1).map((point, index) => {
    const before = curve[index] ?? point;
    return (before.share - point.share + (point.ageMs - before.ageMs) / last) / 2;
  });
  expect(Math.max(...steps)).toBeLessThan(2.5 / 118);
});

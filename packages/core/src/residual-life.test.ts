import { describe, expect, test } from "vitest";
import { binAges, type LiveGroup } from "./forecast.ts";
import { lifeSample } from "./life-sample.ts";
import { residualLife } from "./residual-life.ts";
import { kaplanMeier, residualSurvival } from "./survival.ts";

/** Draws between 0 and 1, the same ones every time. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const MINUTE = 60_000;

function exponential(meanMs: number, many: number, seed: number) {
  const draw = drawing(seed);
  return kaplanMeier(
    lifeSample(Array.from({ length: many }, () => ({ exit: -meanMs * Math.log(1 - draw()), ended: true }))),
  );
}

const live = (...ages: number[]) => binAges(Float64Array.from(ages));

describe("The residual life", () => {
  test("of lengths without memory is the same at every age: the law itself", () => {
    const lengths = exponential(10 * MINUTE, 20_000, 1);
    for (const age of [0, 5 * MINUTE, 30 * MINUTE]) {
      const { known, p50Ms, p95Ms, p99Ms } = residualLife([{ live: live(age, age), lengths }], 60);
      expect(known).toBe(true);
      for (const [quantile, law] of [
        [p50Ms, Math.LN2],
        [p95Ms, Math.log(20)],
        [p99Ms, Math.log(100)],
      ] as const) {
        expect(Math.abs((quantile ?? 0) / (10 * MINUTE * law) - 1)).toBeLessThan(0.1);
      }
    }
  });

  test("is the mixture over ages and labels: its quantiles are where the mean of what each session faces falls to them", () => {
    const groups: LiveGroup[] = [
      { live: live(0, 1000, 7 * MINUTE), lengths: exponential(10 * MINUTE, 400, 2) },
      { live: live(2 * MINUTE, 90 * MINUTE), lengths: exponential(90 * MINUTE, 300, 3) },
    ];
    const sessions = groups.flatMap(({ live: { ageMs }, lengths }) => ageMs.map((age) => ({ age, lengths })));
    const left = (ms: number) =>
      sessions.reduce((sum, { age, lengths }) => sum + residualSurvival(lengths, age, ms), 0) / sessions.length;
    const life = residualLife(groups, 60);
    for (const [quantile, target] of [
      [life.p50Ms, 0.5],
      [life.p95Ms, 0.05],
      [life.p99Ms, 0.01],
    ] as const) {
      expect(left(quantile ?? 0)).toBeLessThanOrEqual(target);
      expect(left((quantile ?? 0) / 1.0011 - 1.1)).toBeGreaterThan(target);
    }
    expect(life.sessions).toBe(5);
    expect(life.curve).toHaveLength(60);
    expect(life.curve[0]).toEqual({ afterMs: 0, share: 1 });
    expect(life.curve.at(-1)?.afterMs).toBe(life.p99Ms);
    for (const { afterMs, share } of life.curve) expect(share).toBeCloseTo(left(afterMs), 9);
    const shares = life.curve.map(({ share }) => share);
    expect(shares).toEqual(shares.toSorted((a, b) => b - a));
  });

  test("is not known past the longest length where too few ended to tell how lengths go on", () => {
    const few = kaplanMeier(
      lifeSample([
        ...[1, 2, 3, 4].map((minutes) => ({ exit: minutes * MINUTE, ended: true })),
        { exit: 9 * MINUTE, ended: false },
      ]),
    );
    const old = residualLife([{ live: live(8 * MINUTE), lengths: few }], 10);
    expect(old).toMatchObject({ known: false, p50Ms: null, p95Ms: null, p99Ms: null });
    expect(old.curve.at(-1)).toEqual({ afterMs: MINUTE, share: 1 });
    const young = residualLife([{ live: live(0), lengths: few }], 10);
    expect(young).toMatchObject({ known: false, p95Ms: null });
    expect(young.p50Ms).toBeCloseTo(3 * MINUTE, -3);
  });

  test("of no session is nothing", () => {
    expect(residualLife([], 10)).toEqual({
      sessions: 0,
      known: true,
      p50Ms: null,
      p95Ms: null,
      p99Ms: null,
      curve: [],
    });
    const none = [{ live: live(), lengths: exponential(MINUTE, 50, 4) }];
    expect(residualLife(none, 10)).toMatchObject({ sessions: 0, curve: [] });
  });
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lifeSample } from "./life-sample.ts";
import { binAges, forecastLeft, forecastRetirement, probabilityRetiredBy, stretchOf } from "./forecast.ts";
import { kaplanMeier, type Survival } from "./survival.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The law itself rather than a draw from it: its quantiles, evenly spaced, so that the answer is known. */
const exponential = (meanMs: number, many = 4000): Survival =>
  kaplanMeier(
    lifeSample(
      Array.from({ length: many }, (_, index) => ({ exit: -meanMs * Math.log((index + 0.5) / many), ended: true })),
    ),
  );
const lengths = exponential(HOUR);
const live = (many: number) => binAges(Float64Array.from({ length: many }, (_, index) => (index % 60) * 60_000));
const ask = (many: number, allowed: number, horizonMs = 10 * DAY) => ({
  live: live(many),
  allowed,
  lengths,
  horizonMs,
});

describe("the retirement of a release whose sessions end at a constant rate", () => {
  test.each([1, 10, 100, 400])("is expected when the last of %d ends, as extreme value theory has it", (many) => {
    const { lowMs, medianMs, highMs, known } = forecastRetirement(ask(many, 0));
    const exact = (share: number) => -HOUR * Math.log(1 - share ** (1 / many));
    expect(Math.abs(Math.log(medianMs / exact(0.5)))).toBeLessThan(0.08);
    expect(Math.abs(Math.log(lowMs / exact(0.1)))).toBeLessThan(0.12);
    expect(Math.abs(Math.log(highMs / exact(0.9)))).toBeLessThan(0.12);
    expect(known).toBe(true);
  });

  // The share left falls to 5% after mean × log 20, whatever the number: the median of an order statistic nearly.
  test.each([
    [100, 5],
    [1000, 50],
    [10_000, 500],
  ])("with %d live and %d that may be cut is when a twentieth is left", (many, allowed) => {
    const { lowMs, medianMs, highMs } = forecastRetirement(ask(many, allowed));
    expect(medianMs / (HOUR * Math.log(20))).toBeGreaterThan(0.94);
    expect(medianMs / (HOUR * Math.log(20))).toBeLessThan(1.06);
    expect(lowMs).toBeLessThan(medianMs);
    expect(highMs).toBeGreaterThan(medianMs);
  });

  test("is now where no more are live than may be cut", () => {
    expect(forecastRetirement(ask(5, 5))).toEqual({ lowMs: 0, medianMs: 0, highMs: 0, known: true });
    expect(forecastRetirement(ask(0, 0)).medianMs).toBe(0);
  });

  test("never goes past the horizon", () => {
    expect(forecastRetirement(ask(100, 0, HOUR))).toMatchObject({ lowMs: HOUR, medianMs: HOUR, highMs: HOUR });
  });
});

test("the exact sum and its approximation agree where they meet", () => {
  // 6000 / (4 + 1) sessions is the last that is counted exactly.
  for (const afterMs of [4 * HOUR, 5 * HOUR, 6 * HOUR]) {
    const exact = probabilityRetiredBy(ask(1200, 4), afterMs);
    const approximate = probabilityRetiredBy(ask(1201, 4), afterMs);
    expect(Math.abs(exact - approximate)).toBeLessThan(0.015);
  }
});

test("lengths that were hardly seen make the interval wider, not narrower", () => {
  const width = (many: number) => {
    const question = { ...ask(1000, 50), lengths: exponential(HOUR, many) };
    const { lowMs, highMs } = forecastRetirement(question);
    return highMs / lowMs;
  };
  expect(width(60)).toBeGreaterThan(1.3 * width(4000));
});

test("where nobody knows the tail the forecast ends at the horizon and says that it is not known", () => {
  const few = kaplanMeier(
    lifeSample([
      { exit: HOUR, ended: true },
      { exit: 2 * HOUR, ended: false },
    ]),
  );
  expect(forecastRetirement({ ...ask(10, 0, DAY), lengths: few })).toMatchObject({ highMs: DAY, known: false });
});

const ages = fc
  .array(fc.nat(5 * HOUR), { minLength: 1, maxLength: 300 })
  .map((ages) => binAges(Float64Array.from(ages)));

describe("whatever the ages", () => {
  test("bins keep the number of sessions and their total age", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(DAY), { maxLength: 500 }), (given) => {
        const bins = binAges(Float64Array.from(given));
        const total = bins.ageMs.reduce((sum, age, bin) => sum + age * (bins.count[bin] ?? 0), 0);
        expect(bins.count.reduce((sum, count) => sum + count, 0)).toBe(given.length);
        expect(total).toBeCloseTo(
          given.reduce((sum, age) => sum + age, 0),
          0,
        );
        expect(bins.ageMs.length).toBeLessThanOrEqual(64);
      }),
    );
  });

  test("the interval is in order, and the more may be cut the sooner it is over", () => {
    fc.assert(
      fc.property(ages, (live) => {
        let before = Infinity;
        for (const allowed of [0, 1, 3, 10]) {
          const { lowMs, medianMs, highMs } = forecastRetirement({ live, allowed, lengths, horizonMs: DAY });
          expect(lowMs).toBeLessThanOrEqual(medianMs);
          expect(medianMs).toBeLessThanOrEqual(highMs);
          expect(highMs).toBeLessThanOrEqual(DAY);
          expect(medianMs).toBeLessThanOrEqual(before * 1.01);
          before = medianMs;
        }
      }),
      { numRuns: 40 },
    );
  });

  test("the probability to have retired lies in [0, 1] and never falls", () => {
    fc.assert(
      fc.property(ages, fc.nat(20), (live, allowed) => {
        let before = 0;
        for (let afterMs = 60_000; afterMs < 2 * DAY; afterMs *= 1.7) {
          const probability = probabilityRetiredBy({ live, allowed, lengths, horizonMs: DAY }, afterMs);
          expect(probability).toBeGreaterThanOrEqual(before - 1e-3);
          expect(probability).toBeLessThanOrEqual(1);
          before = probability;
        }
      }),
      { numRuns: 40 },
    );
  });

  test("the curves of sessions left never rise, and keep their order", () => {
    fc.assert(
      fc.property(ages, fc.double({ min: 0.2, max: 5, noNaN: true }), (live, factor) => {
        const times = Array.from({ length: 30 }, (_, index) => index * 20 * 60_000);
        const points = forecastLeft(live, lengths, times, { low: factor / 2, median: factor, high: factor * 2 });
        let before = { low: live.sessions, median: live.sessions, high: live.sessions };
        for (const point of points) {
          expect(point.low).toBeLessThanOrEqual(point.median);
          expect(point.median).toBeLessThanOrEqual(point.high);
          expect(point.low).toBeGreaterThanOrEqual(0);
          for (const line of ["low", "median", "high"] as const) expect(point[line]).toBeLessThanOrEqual(before[line]);
          before = point;
        }
        expect(points[0]?.high).toBe(live.sessions);
      }),
      { numRuns: 40 },
    );
  });
});

test("a curve stretched by the calibration reaches as far as the calibrated forecast", () => {
  const model = { lowMs: HOUR, medianMs: 2 * HOUR, highMs: 4 * HOUR, known: true };
  const stretch = stretchOf(model, { lowMs: HOUR, medianMs: 3 * HOUR, highMs: 8 * HOUR, known: true });
  expect(stretch).toEqual({ low: 1, median: 1.5, high: 2 });
  const [plain] = forecastLeft(live(100), lengths, [2 * HOUR]);
  const [stretched] = forecastLeft(live(100), lengths, [3 * HOUR], stretch);
  expect(stretched?.median).toBeCloseTo(plain?.median ?? 0, 6);
});

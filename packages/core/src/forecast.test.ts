import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lifeSample } from "./life-sample.ts";
import {
  binAges,
  expectedLeft,
  forecastLeft,
  forecastRetirement,
  type LiveGroup,
  probabilityRetiredBy,
  stretchOf,
} from "./forecast.ts";
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
  groups: [{ live: live(many), lengths }],
  allowed,
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
    const question = { ...ask(1000, 50), groups: [{ live: live(1000), lengths: exponential(HOUR, many) }] };
    const { lowMs, highMs } = forecastRetirement(question);
    return highMs / lowMs;
  };
  expect(width(60)).toBeGreaterThan(1.3 * width(4000));
});

test("lengths that were hardly seen make the curve of what is left wider, too", () => {
  const width = (many: number) => {
    const [at] = forecastLeft([{ live: live(1000), lengths: exponential(HOUR, many) }], [HOUR]);
    return (at?.high ?? 0) - (at?.low ?? 0);
  };
  expect(width(60)).toBeGreaterThan(1.5 * width(4000));
});

test("where nobody knows the tail the forecast ends at the horizon and says that it is not known", () => {
  const few = kaplanMeier(
    lifeSample([
      { exit: HOUR, ended: true },
      { exit: 2 * HOUR, ended: false },
    ]),
  );
  expect(forecastRetirement({ groups: [{ live: live(10), lengths: few }], allowed: 0, horizonMs: DAY })).toMatchObject({
    highMs: DAY,
    known: false,
  });
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
        expect(bins.sessions).toBe(given.length);
        expect(bins.ageMs.length).toBeLessThanOrEqual(64);
      }),
    );
  });

  test("the interval is in order, and the more may be cut the sooner it is over", () => {
    fc.assert(
      fc.property(ages, (live) => {
        let before = Infinity;
        for (const allowed of [0, 1, 3, 10]) {
          const { lowMs, medianMs, highMs } = forecastRetirement({
            groups: [{ live, lengths }],
            allowed,
            horizonMs: DAY,
          });
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
          const probability = probabilityRetiredBy({ groups: [{ live, lengths }], allowed, horizonMs: DAY }, afterMs);
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
        const points = forecastLeft([{ live, lengths }], times, { low: factor / 2, median: factor, high: factor * 2 });
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
  const [plain] = forecastLeft([{ live: live(100), lengths }], [2 * HOUR]);
  const [stretched] = forecastLeft([{ live: live(100), lengths }], [3 * HOUR], stretch);
  expect(stretched?.median).toBeCloseTo(plain?.median ?? 0, 6);
});

describe("groups", () => {
  const short = { live: live(100), lengths };
  const long = { live: live(100), lengths: exponential(4 * HOUR) };
  const of = (groups: readonly LiveGroup[], allowed = 0) =>
    forecastRetirement({ groups, allowed, horizonMs: 10 * DAY }).medianMs;

  test("of the same lengths are as one", () => {
    const halves = [
      { live: binAges(new Float64Array(100).fill(HOUR)), lengths },
      { live: binAges(new Float64Array(100).fill(HOUR)), lengths },
    ];
    const one = [{ live: binAges(new Float64Array(200).fill(HOUR)), lengths }];
    for (const allowed of [0, 3, 20])
      expect(Math.abs(Math.log(of(halves, allowed) / of(one, allowed)))).toBeLessThan(1e-9);
    const [left] = forecastLeft(halves, [HOUR]);
    expect(left?.median).toBeCloseTo(200 / Math.E, 0);
    // The error of the estimate moves both together: were it independent, the interval would be narrower.
    expect(left?.low).toBeCloseTo(forecastLeft(one, [HOUR])[0]?.low ?? 0, 9);
  });

  test("of other lengths each end by their own", () => {
    expect(of([short, long])).toBeGreaterThan(of([long]) * 0.999);
    expect(of([short, long])).toBeLessThan(of([long]) * 1.05);
    // 200 e^-1 of the first, and of the second four times as slow: 100 e^(-1/4).
    expect(expectedLeft([short, long], HOUR)).toBeCloseTo(100 * Math.exp(-1) + 100 * Math.exp(-0.25), 0);
  });

  test("where one of them is not known, the answer is not", () => {
    const open = kaplanMeier(
      lifeSample([
        { exit: HOUR, ended: true },
        { exit: 2 * HOUR, ended: false },
      ]),
    );
    expect(
      forecastRetirement({ groups: [short, { live: live(10), lengths: open }], allowed: 0, horizonMs: DAY }),
    ).toMatchObject({ known: false, highMs: DAY });
  });

  test("without a session, or none at all, have retired", () => {
    expect(of([])).toBe(0);
    expect(of([{ live: live(0), lengths }])).toBe(0);
    expect(forecastLeft([], [0, HOUR]).map(({ high }) => high)).toEqual([0, 0]);
  });
});

describe("a linger", () => {
  const lingerMs = 30 * 60_000;

  test("puts off the retirement by itself, and never past the horizon", () => {
    for (const allowed of [0, 5]) {
      const plain = forecastRetirement(ask(100, allowed));
      const held = forecastRetirement({ ...ask(100, allowed), lingerMs });
      expect(held).toEqual({
        lowMs: plain.lowMs + lingerMs,
        medianMs: plain.medianMs + lingerMs,
        highMs: plain.highMs + lingerMs,
        known: true,
      });
    }
    expect(forecastRetirement({ ...ask(100, 0, HOUR), lingerMs })).toMatchObject({ lowMs: HOUR, highMs: HOUR });
    expect(forecastRetirement({ ...ask(100, 0, lingerMs / 2), lingerMs })).toMatchObject({ medianMs: lingerMs / 2 });
  });

  test("of those that have no connection ends exactly then, where nothing else is open", () => {
    const lingerers = [5000, 60_000, 9000, 0, -7, Number.NaN];
    const gone = (allowed: number) => forecastRetirement({ ...ask(0, allowed), lingerMs, lingerers });
    const at = (ms: number) => ({ lowMs: ms, medianMs: ms, highMs: ms, known: true });
    expect(gone(0)).toEqual(at(60_000));
    expect(gone(1)).toEqual(at(9000));
    expect(gone(2)).toEqual(at(5000));
    expect(gone(3)).toEqual(at(0));
    expect(probabilityRetiredBy({ ...ask(0, 0), lingerMs, lingerers }, 59_999)).toBe(0);
    expect(probabilityRetiredBy({ ...ask(0, 0), lingerMs, lingerers }, 60_000)).toBeCloseTo(1, 9);
    expect(forecastRetirement({ ...ask(0, 0, 1000), lingerers })).toEqual(at(1000));
  });

  test("of those without a connection can be what the release waits for", () => {
    // With five open and five allowed, only who lingers already stands in the way.
    expect(forecastRetirement({ ...ask(5, 5), lingerMs, lingerers: [7000] })).toMatchObject({
      lowMs: 7000,
      highMs: 7000,
    });
    // A linger longer than the one in force now, from before it was made shorter: nothing retires before it is over.
    const lingerers = [20 * HOUR];
    expect(forecastRetirement({ ...ask(10, 0), lingerMs, lingerers })).toMatchObject({
      lowMs: 20 * HOUR,
      highMs: 20 * HOUR,
    });
  });

  test("keeps all that are open for as long as it lasts, and then shifts the curve", () => {
    const groups = [{ live: live(100), lengths }];
    const [start, within, end, after] = forecastLeft(groups, [0, lingerMs - 1, lingerMs, lingerMs + HOUR], undefined, {
      lingerMs,
      lingerers: [1000, HOUR],
    });
    expect(start).toEqual({ afterMs: 0, low: 102, median: 102, high: 102 });
    expect(within).toMatchObject({ low: 101, high: 101 });
    expect(end).toMatchObject({ low: 101, high: 101 });
    expect(after?.median).toBe(forecastLeft(groups, [HOUR])[0]?.median);
    expect(expectedLeft(groups, lingerMs + HOUR, { lingerMs })).toBe(expectedLeft(groups, HOUR));
  });

  test("is not stretched by the calibration", () => {
    const model = { lowMs: HOUR, medianMs: 2 * HOUR, highMs: 4 * HOUR, known: true };
    const calibrated = { lowMs: HOUR / 4, medianMs: 3.5 * HOUR, highMs: 4 * HOUR, known: true };
    expect(stretchOf(model, calibrated, HOUR / 2)).toEqual({ low: 1, median: 2, high: 1 });
  });

  test("whatever it is, the probability to have retired lies in [0, 1] and never falls", () => {
    const lingerers = fc.array(fc.integer({ min: -1000, max: DAY }), { maxLength: 20 });
    fc.assert(
      fc.property(ages, ages, fc.nat(20), fc.nat(4 * HOUR), lingerers, (a, b, allowed, lingerMs, lingerers) => {
        const groups = [
          { live: a, lengths },
          { live: b, lengths: exponential(2 * HOUR, 500) },
        ];
        const question = { groups, allowed, horizonMs: DAY, lingerMs, lingerers };
        let before = 0;
        for (let afterMs = 60_000; afterMs < 2 * DAY; afterMs *= 1.7) {
          const probability = probabilityRetiredBy(question, afterMs);
          expect(probability).toBeGreaterThanOrEqual(before - 5e-2);
          expect(probability).toBeLessThanOrEqual(1);
          before = probability;
        }
        const { lowMs, medianMs, highMs } = forecastRetirement(question);
        expect(lowMs).toBeLessThanOrEqual(medianMs);
        expect(medianMs).toBeLessThanOrEqual(highMs);
        expect(highMs).toBeLessThanOrEqual(DAY);
        expect(highMs === DAY || probabilityRetiredBy(question, highMs + 1) > 0.88).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe("ages that are a sample", () => {
  test("stand for all, in whole sessions", () => {
    const bins = binAges(
      Float64Array.from({ length: 1000 }, (_, index) => index),
      12_345,
    );
    expect(bins.sessions).toBe(12_345);
    expect(bins.count.reduce((sum, count) => sum + count, 0)).toBe(12_345);
    expect(bins.count.every((count) => Number.isInteger(count) && count > 180)).toBe(true);
    expect(JSON.parse(JSON.stringify(bins))).toEqual(bins);
  });

  test("without sense count as just begun", () => {
    expect(binAges(Float64Array.of(-5, Number.NaN, 7))).toEqual({ ageMs: [0, 0, 7], count: [1, 1, 1], sessions: 3 });
    expect(binAges(new Float64Array(0), 9)).toEqual({ ageMs: [], count: [], sessions: 0 });
  });
});

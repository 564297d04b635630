import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lifeSample } from "./life-sample.ts";
import {
  kaplanMeier,
  lengthQuantile,
  residualHazard,
  residualSurvival,
  standardErrorAt,
  survivalAt,
} from "./survival.ts";

const columns = (entry: readonly number[], exit: readonly number[], ended: readonly number[]) =>
  lifeSample(exit.map((age, row) => ({ entry: entry[row] ?? 0, exit: age, ended: ended[row] === 1 })));

describe("the estimate agrees with published and independent numbers", () => {
  // Freireich et al. 1963, weeks of remission under 6-MP; Klein and Moeschberger, Survival Analysis (2nd ed.), tables 4.1A
  // and 4.1B, print the survival and the standard error to three digits. The further digits are those of lifelines 0.30.3.
  test("for the remissions under 6-MP of Freireich et al.", () => {
    const weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35];
    const relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0];
    const lengths = kaplanMeier(columns([], weeks, relapsed));
    expect([...lengths.ages]).toEqual([6, 7, 10, 13, 16, 22, 23]);
    expect([...lengths.atRisk]).toEqual([21, 17, 15, 12, 11, 7, 6]);
    const published = [0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448];
    const publishedErrors = [0.076, 0.087, 0.096, 0.107, 0.114, 0.128, 0.135];
    const exact = [0.8571428571, 0.8067226891, 0.7529411765, 0.6901960784, 0.6274509804, 0.5378151261, 0.4481792717];
    const exactErrors = [
      0.0763603548, 0.0869352852, 0.096349653, 0.1068147078, 0.1140538653, 0.1282337517, 0.1345914568,
    ];
    for (const [index, age] of lengths.ages.entries()) {
      expect(survivalAt(lengths, age)).toBeCloseTo(published[index] ?? 0, 3);
      expect(Math.abs(standardErrorAt(lengths, age) - (publishedErrors[index] ?? 0))).toBeLessThan(0.00051);
      expect(survivalAt(lengths, age)).toBeCloseTo(exact[index] ?? 0, 9);
      expect(standardErrorAt(lengths, age)).toBeCloseTo(exactErrors[index] ?? 0, 9);
    }
    expect(lengthQuantile(lengths, 0.5)).toBe(23);
    expect(lengthQuantile(lengths, 0.9)).toBeUndefined();
    expect(residualHazard(lengths, 20, 20)).toMatchObject({ known: false });
  });

  // Drawn with numpy (default_rng(7)); survival and error by lifelines 0.30.3, KaplanMeierFitter().fit(exit, ended, entry=entry).
  test("with delayed entry and censoring, as lifelines has it", () => {
    const entry = [
      169, 0, 0, 0, 102, 72, 0, 12, 0, 65, 0, 163, 76, 118, 0, 0, 135, 0, 0, 48, 0, 0, 0, 0, 0, 0, 26, 0, 0, 114, 0, 38,
      0, 0,
    ];
    const exit = [
      196, 310, 85, 96, 107, 1092, 151, 68, 140, 71, 264, 329, 663, 607, 205, 81, 258, 13, 10, 387, 56, 275, 134, 240,
      136, 66, 306, 171, 456, 163, 54, 58, 1157, 318,
    ];
    const ended = [
      1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0,
    ];
    const expected = [
      [10, 0.9523809524, 0.046471432],
      [13, 0.9070294785, 0.0625909804],
      [54, 0.8675934142, 0.0712176849],
      [66, 0.8262794421, 0.0789048921],
      [71, 0.7436514979, 0.0900853215],
      [134, 0.6692863481, 0.0951946676],
      [151, 0.5636095563, 0.0977804494],
      [196, 0.4973025497, 0.0968678621],
      [258, 0.4284452736, 0.0949506379],
      [310, 0.3141932006, 0.0898008634],
      [456, 0.1795389718, 0.0780184298],
      [663, 0.1196926478, 0.0713652549],
      [1092, 0.0598463239, 0.0553537817],
    ] as const;
    const lengths = kaplanMeier(columns(entry, exit, ended));
    for (const [age, survival, error] of expected) {
      expect(survivalAt(lengths, age)).toBeCloseTo(survival, 9);
      expect(standardErrorAt(lengths, age)).toBeCloseTo(error, 9);
    }
  });

  // By hand, after the rule of Klein and Moeschberger §4.6: at 3 the risk set is {A, C}, at 5 {B, C}, at 8 {C, D}.
  test("for a left-truncated sample small enough to check by hand", () => {
    const lengths = kaplanMeier(columns([0, 4, 0, 6], [3, 5, 8, 9], [1, 1, 1, 0]));
    expect([...lengths.atRisk]).toEqual([2, 2, 2]);
    expect([...lengths.survival]).toEqual([0.5, 0.25, 0.125]);
  });
});

describe("an age at which everyone watched so far ends", () => {
  test("does not make the survival 0 for those who enter later", () => {
    const lengths = kaplanMeier(columns([0, 5, 5, 5], [2, 6, 8, 9], [1, 1, 1, 0]));
    expect(survivalAt(lengths, 2)).toBe(1);
    expect(survivalAt(lengths, 6)).toBeCloseTo(2 / 3, 12);
  });

  test("ends the curve where nobody enters later", () => {
    expect(survivalAt(kaplanMeier(columns([], [2, 2], [1, 1])), 2)).toBe(0);
  });
});

test("rows without sense are passed over and counted: a clock that stepped back, ages that are no numbers", () => {
  const lengths = kaplanMeier(columns([0, 7, 0, 0, -1], [4, 3, Number.NaN, -2, 5], [1, 1, 1, 1, 1]));
  expect(lengths).toMatchObject({ sessions: 1, ends: 1, passedOver: 4 });
  expect(survivalAt(lengths, 4)).toBe(0);
});

test("sessions of length 0 count, from the start on", () => {
  expect(survivalAt(kaplanMeier(columns([], [0, 5], [1, 1])), 0)).toBe(0.5);
});

test("an empty sample says nothing, and no number is NaN", () => {
  const lengths = kaplanMeier(lifeSample([]));
  expect(survivalAt(lengths, 1e9)).toBe(1);
  expect(lengthQuantile(lengths, 0.5)).toBeUndefined();
  expect(residualHazard(lengths, 0, 1)).toEqual({ hazard: 0, variance: 0, known: false });
});

const rows = fc.array(
  fc
    .record({ entry: fc.nat(50), lived: fc.integer({ min: 1, max: 200 }), ended: fc.boolean() })
    .map(({ entry, lived, ended }) => ({ entry, exit: entry + lived, ended })),
  { minLength: 1, maxLength: 120 },
);

describe("whatever the sample", () => {
  test("the survival lies in [0, 1] and never rises, residual life neither", () => {
    fc.assert(
      fc.property(rows, fc.nat(100), (sample, age) => {
        const lengths = kaplanMeier(lifeSample(sample));
        let before = 1;
        let residual = 1;
        for (let at = 0; at < 400; at += 7) {
          const survival = survivalAt(lengths, at);
          expect(survival).toBeGreaterThanOrEqual(0);
          expect(survival).toBeLessThanOrEqual(before);
          before = survival;
          const rest = residualSurvival(lengths, age, at);
          expect(rest).toBeGreaterThanOrEqual(0);
          expect(rest).toBeLessThanOrEqual(residual);
          residual = rest;
        }
      }),
    );
  });

  test("the order of the sessions does not matter", () => {
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.nat(1000)), (sample, keys) => {
        const drawn = keys[Symbol.iterator]();
        const mixed = sample
          .map((row) => ({ row, key: Number(drawn.next().value) }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ row }) => row);
        const [one, other] = [kaplanMeier(lifeSample(sample)), kaplanMeier(lifeSample(mixed))];
        expect(other.survival).toEqual(one.survival);
        expect(other.variance).toEqual(one.variance);
      }),
    );
  });

  test("without censoring and delayed entry it is the share of sessions that lasted longer, with the binomial error", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { minLength: 1, maxLength: 80 }), fc.nat(60), (exits, age) => {
        const lengths = kaplanMeier(lifeSample(exits.map((exit) => ({ exit, ended: true }))));
        const share = exits.filter((exit) => exit > age).length / exits.length;
        expect(survivalAt(lengths, age)).toBeCloseTo(share, 9);
        expect(standardErrorAt(lengths, age)).toBeCloseTo(Math.sqrt((share * (1 - share)) / exits.length), 9);
      }),
    );
  });

  test("quantiles never fall as the share grows", () => {
    fc.assert(
      fc.property(rows, (sample) => {
        const lengths = kaplanMeier(lifeSample(sample));
        let before = 0;
        for (let share = 0.05; share < 0.999; share += 0.05) {
          const age = lengthQuantile(lengths, share) ?? Infinity;
          expect(age).toBeGreaterThanOrEqual(before);
          before = age;
        }
      }),
    );
  });
});

describe("past the last session that was seen", () => {
  // Evenly spaced quantiles stand in for a draw, so that the numbers are the law's own.
  const law = (many: number, lengthAt: (survival: number) => number) =>
    kaplanMeier(
      lifeSample(Array.from({ length: many }, (_, index) => ({ exit: lengthAt((index + 0.5) / many), ended: true }))),
    );

  test("an exponential law goes on exponentially", () => {
    const lengths = law(5000, (survival) => -1000 * Math.log(survival));
    expect(lengths.tail).toMatchObject({ kind: "fitted" });
    expect(residualHazard(lengths, 9000, 3000).hazard).toBeGreaterThan(2.2);
    expect(residualHazard(lengths, 9000, 3000).hazard).toBeLessThan(3.6);
  });

  test("a power law goes on as a power law: ten times the longest age is still thinkable", () => {
    const lengths = law(5000, (survival) => 1000 * survival ** (-1 / 1.2));
    const { tail } = lengths;
    if (tail.kind === "unknown") throw new Error("no tail");
    expect(1 / tail.shape).toBeGreaterThan(1);
    expect(1 / tail.shape).toBeLessThan(1.45);
    const oldest = lengths.lastAge;
    expect(residualSurvival(lengths, oldest, 9 * oldest)).toBeCloseTo(0.1 ** 1.2, 1);
    expect(residualHazard(lengths, oldest, 9 * oldest).variance).toBeGreaterThan(0);
  });

  test("censored sessions count in the tail: cutting the record short does not make it lighter", () => {
    const lengthOf = (survival: number) => -1000 * Math.log(survival);
    const sample = Array.from({ length: 4000 }, (_, index) => lengthOf(((index * 0.618034) % 1) + 1e-4));
    const lengths = kaplanMeier(
      lifeSample(sample.map((exit) => ({ exit: Math.min(exit, 3000), ended: exit <= 3000 }))),
    );
    expect(residualHazard(lengths, 3000, 1000).hazard).toBeGreaterThan(0.6);
    expect(residualHazard(lengths, 3000, 1000).hazard).toBeLessThan(1.4);
  });

  test("too few ends leave the tail unknown, and the answer says that it is", () => {
    const lengths = law(20, (survival) => -1000 * Math.log(survival));
    expect(lengths.tail).toEqual({ kind: "unknown" });
    expect(residualHazard(lengths, 100, 1e6).known).toBe(false);
  });
});

test("300,000 sessions keep what the law says", () => {
  const many = 300_000;
  const exit = Float64Array.from({ length: many }, (_, index) => -1000 * Math.log(1 - ((index * 0.6180339887) % 1)));
  const lengths = kaplanMeier({ entry: new Float64Array(many), exit, ended: new Uint8Array(many).fill(1) });
  expect(lengthQuantile(lengths, 0.95)).toBeCloseTo(1000 * Math.log(20), -1);
});

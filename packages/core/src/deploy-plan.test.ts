import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deployQuestion, type DeployQuestion, planDeploy, UNBOUNDED_HORIZON_MS } from "./deploy-plan.ts";
import { binAges, forecastRetirement, type LiveGroup } from "./forecast.ts";
import { lifeSample } from "./life-sample.ts";
import type { SessionLengths } from "./session-lengths.ts";
import { kaplanMeier } from "./survival.ts";
import { DEFAULT_WINDOW, type WindowPolicy } from "./windows.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 20_000 * DAY;

/** Sessions that each last an hour longer, whatever their age: quantiles of the law itself. */
const survival = kaplanMeier(
  lifeSample(
    Array.from({ length: 4000 }, (_, index) => ({ exit: -HOUR * Math.log((index + 0.5) / 4000), ended: true })),
  ),
);
const lengths: SessionLengths = { kind: "estimated", lengths: survival, from: "service", why: "4000 ended sessions" };
const unknown: SessionLengths = { kind: "unknown", ends: 3, why: "3 ended sessions are too few" };
const live = (many: number): LiveGroup[] => [{ live: binAges(new Float64Array(many)), lengths: survival }];
const history = { spans: { openedAtMs: new Float64Array(0), endedAtMs: new Float64Array(0) }, sinceMs: NOW };

const ask = (many: number, policy: WindowPolicy, given: Partial<DeployQuestion> = {}): DeployQuestion => {
  const groups = live(many);
  const linger = given.linger ?? {};
  const forecast = forecastRetirement({ groups, ...linger, ...deployQuestion(policy, many) });
  return { nowMs: NOW, policy, left: many, groups, linger, lengths, forecast, instances: 4, history, ...given };
};
const budget = (disruptionBudget: number, ceiling = DAY, floor = 0): WindowPolicy => ({
  policy: "budget",
  disruptionBudget,
  floor,
  ceiling,
});

describe("how long the old release lives", () => {
  test("is the forecast of its retirement, with the rule that ends it", () => {
    const plan = planDeploy(ask(100, budget(0.05)));
    expect(plan).toMatchObject({ left: 100, allowed: 5, window: { rule: "forecast", verdict: "retire" } });
    expect(plan.oldLives?.medianMs).toBeGreaterThan(0.94 * HOUR * Math.log(20));
    expect(plan.oldLives?.medianMs).toBeLessThan(1.06 * HOUR * Math.log(20));
    expect(plan.window.deadlineMs).toBe(NOW + Math.round(plan.oldLives?.medianMs ?? 0));
  });

  test("is no shorter than its floor and no longer than its window", () => {
    const floored = planDeploy(ask(0, budget(0, DAY, HOUR)));
    expect(floored.oldLives).toEqual({ lowMs: HOUR, medianMs: HOUR, highMs: HOUR, known: true });
    const fixed = planDeploy(ask(100, { policy: "fixed", window: 2 * HOUR, floor: 0 }));
    expect(fixed.oldLives).toMatchObject({ lowMs: 2 * HOUR, highMs: 2 * HOUR });
    const quantile = planDeploy(ask(100, { policy: "quantile", quantile: 0.5, factor: 1, floor: 0, ceiling: DAY }));
    expect(quantile.oldLives?.highMs).toBeCloseTo(HOUR * Math.LN2, -4);
  });

  test("is the floor alone where all that is left may be cut, known lengths or not", () => {
    const given = { groups: undefined, lengths: unknown, forecast: undefined };
    const plan = planDeploy(ask(10, budget(1, DAY, HOUR), given));
    expect(plan.oldLives).toEqual({ lowMs: HOUR, medianMs: HOUR, highMs: HOUR, known: true });
    // Kept warm for an hour, with sessions that nobody knows of when they end.
    expect(plan.overlap.expected?.median).toBeCloseTo(4, 9);
  });

  test.each(["lengths", "count"])("is not told without the %s, only the most that it can cost", (missing) => {
    const given =
      missing === "count" ? { left: undefined } : { groups: undefined, lengths: unknown, forecast: undefined };
    const plan = planDeploy(ask(10, DEFAULT_WINDOW, given));
    expect(plan).toMatchObject({ oldLives: undefined, cutAtCeiling: undefined });
    expect(plan.overlap).toEqual({ expected: undefined, most: 96 });
    expect(plan.window).toMatchObject({ rule: "ceiling", verdict: "retire" });
  });
});

describe("how many the ceiling would cut", () => {
  test("is what is expected to be left then", () => {
    expect(planDeploy(ask(1000, budget(0, 2 * HOUR))).cutAtCeiling).toBeCloseTo(1000 * Math.exp(-2), 0);
    expect(planDeploy(ask(1000, budget(0, 2 * HOUR), { linger: { lingerMs: HOUR } })).cutAtCeiling).toBeCloseTo(
      1000 * Math.exp(-1),
      0,
    );
  });

  test("is nobody where there is no ceiling, or no session", () => {
    expect(planDeploy(ask(1000, { policy: "until-empty", floor: 0 })).cutAtCeiling).toBe(0);
    expect(planDeploy(ask(0, budget(0, 1))).cutAtCeiling).toBe(0);
  });
});

describe("what the overlap costs, in instance-hours", () => {
  test("on one instance is as long as the release lives", () => {
    const plan = planDeploy(ask(50, DEFAULT_WINDOW, { instances: 1 }));
    expect(plan.overlap.expected?.low).toBeCloseTo((plan.oldLives?.lowMs ?? 0) / HOUR, 6);
    expect(plan.overlap.expected?.high).toBeCloseTo((plan.oldLives?.highMs ?? 0) / HOUR, 6);
    expect(plan.overlap.most).toBe(24);
  });

  test("on several is what each takes to empty: the harmonic numbers", () => {
    // 10 sessions an instance: the last of ten ends after 1 + 1/2 + … + 1/10 hours.
    const harmonic = Array.from({ length: 10 }, (_, index) => 1 / (index + 1)).reduce((sum, part) => sum + part);
    const plan = planDeploy(ask(1000, { policy: "until-empty", floor: 0 }, { instances: 100 }));
    expect((plan.overlap.expected?.median ?? 0) / (100 * harmonic)).toBeGreaterThan(0.97);
    expect((plan.overlap.expected?.median ?? 0) / (100 * harmonic)).toBeLessThan(1.03);
    expect(plan.overlap.most).toBeNull();
  });

  test("on more instances than sessions is what the sessions last", () => {
    const plan = planDeploy(ask(200, { policy: "until-empty", floor: 0 }, { instances: 1000 }));
    expect((plan.overlap.expected?.median ?? 0) / 200).toBeGreaterThan(0.97);
    expect((plan.overlap.expected?.median ?? 0) / 200).toBeLessThan(1.03);
  });

  test("is nothing for instances without a session, but one while it is kept warm", () => {
    expect(planDeploy(ask(0, budget(0, DAY, 2 * HOUR))).overlap.expected?.median).toBeCloseTo(2, 9);
    const two = planDeploy(ask(2, { policy: "fixed", window: 1, floor: 0 }, { instances: 50 }));
    expect(two.overlap.expected?.median).toBeCloseTo(2 / HOUR, 9);
    expect(planDeploy(ask(10, DEFAULT_WINDOW, { instances: 0 })).overlap).toMatchObject({
      expected: { high: 0 },
      most: 0,
    });
  });

  test("holds the instances of those that linger", () => {
    const lingerers = [HOUR, HOUR, HOUR];
    const linger = { lingerMs: HOUR, lingerers };
    const forecast = { lowMs: HOUR, medianMs: HOUR, highMs: HOUR, known: true };
    const plan = planDeploy(ask(0, DEFAULT_WINDOW, { left: 3, linger, forecast }));
    expect(plan.overlap.expected?.median).toBeCloseTo(3, 6);
  });

  test("follows the calibration of the forecast", () => {
    const question = ask(400, DEFAULT_WINDOW);
    const { lowMs, medianMs, highMs } = question.forecast ?? { lowMs: 0, medianMs: 0, highMs: 0 };
    const twice = { lowMs: 2 * lowMs, medianMs: 2 * medianMs, highMs: 2 * highMs, known: true };
    const plain = planDeploy(question).overlap.expected?.median ?? 0;
    const stretched = planDeploy({ ...question, forecast: twice }).overlap.expected?.median ?? 0;
    expect(stretched / plain).toBeCloseTo(2, 6);
  });
});

describe("when it would be cheapest", () => {
  // One session a day, from 9 to 12 o'clock.
  const spans = {
    openedAtMs: Float64Array.of(NOW - 15 * HOUR, NOW - 39 * HOUR),
    endedAtMs: Float64Array.of(NOW - 12 * HOUR, NOW - 36 * HOUR),
  };

  test("is the first of the hours in which the release would have lived shortest", () => {
    const plan = planDeploy(ask(10, DEFAULT_WINDOW, { history: { spans, sinceMs: NOW - 2 * DAY }, nowMs: NOW }));
    expect(plan.hours.map(({ retiredAfterMs }) => (retiredAfterMs ?? 0) / HOUR).slice(8, 13)).toEqual([
      0, 2.5, 1.5, 0.5, 0,
    ]);
    expect(plan.cheapest).toEqual({ startsAtMs: NOW, retiredAfterMs: 0, days: 2 });
  });

  test("is of the hours that are known, and none where none is", () => {
    const sinceMs = NOW - 15 * HOUR;
    const plan = planDeploy(ask(10, DEFAULT_WINDOW, { history: { spans, sinceMs }, nowMs: NOW - 12 * HOUR }));
    expect(plan.cheapest).toEqual({ startsAtMs: NOW + 11 * HOUR, retiredAfterMs: HOUR / 2, days: 1 });
    expect(planDeploy(ask(10, DEFAULT_WINDOW)).cheapest).toBeUndefined();
  });
});

test("a policy that means nothing is refused", () => {
  expect(() => planDeploy(ask(1, budget(2)))).toThrow("a disruption budget of 2 is no share");
});

test("the question is that of the policy", () => {
  expect(deployQuestion(budget(0.1, HOUR), 99)).toEqual({ allowed: 9, horizonMs: HOUR });
  expect(deployQuestion({ policy: "until-empty", floor: 0 }, 99)).toEqual({
    allowed: 0,
    horizonMs: UNBOUNDED_HORIZON_MS,
  });
});

test("whatever is live, under whichever policy, the numbers are in order and no instance-hour is above the most", () => {
  const policies = fc.constantFrom<WindowPolicy>(
    budget(0, 3 * HOUR),
    budget(0.2, DAY, HOUR),
    { policy: "quantile", quantile: 0.9, factor: 1.5, floor: 0, ceiling: DAY },
    { policy: "fixed", window: HOUR, floor: 2 * HOUR },
    { policy: "until-empty", floor: HOUR },
  );
  const lingers = fc.record({ lingerMs: fc.nat(HOUR), lingerers: fc.array(fc.nat(HOUR), { maxLength: 5 }) });
  fc.assert(
    fc.property(fc.nat(300), policies, fc.nat(20), lingers, (many, policy, instances, linger) => {
      const left = many + linger.lingerers.length;
      const plan = planDeploy(ask(many, policy, { instances, linger, left }));
      const { low, median, high } = plan.overlap.expected ?? { low: -1, median: -1, high: -1 };
      expect(low).toBeGreaterThanOrEqual(0);
      expect(median).toBeGreaterThanOrEqual(low);
      expect(high).toBeGreaterThanOrEqual(median);
      expect(high).toBeLessThanOrEqual((plan.overlap.most ?? Infinity) * (1 + 1e-9));
      expect(plan.cutAtCeiling).toBeGreaterThanOrEqual(0);
      expect(plan.cutAtCeiling).toBeLessThanOrEqual(left);
    }),
    { numRuns: 100 },
  );
});

import { DEFAULT_WINDOW, HoldoverError, type WindowPolicy } from "@holdover/core";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joinOutcomes, type PolicyOutcome, type RetentionRun, simulateRetention } from "./retention.ts";
import { SHAPES, traceOf } from "./trace-fixture.ts";
import type { Trace } from "./trace.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const budgetOf = (disruptionBudget: number, ceiling = DAY): WindowPolicy => ({
  policy: "budget",
  disruptionBudget,
  floor: 0,
  ceiling,
});
const columns = (rows: readonly (readonly [number, number])[]): Trace => ({
  startMs: Float64Array.from(rows, ([start]) => start * 1000),
  durationMs: Float64Array.from(rows, ([, duration]) => duration * 1000),
});
const only = (run: Omit<RetentionRun, "policies" | "seed">, policy: WindowPolicy): PolicyOutcome =>
  joinOutcomes(simulateRetention({ ...run, policies: [policy], seed: 1 }));

describe("a trace small enough to follow by hand", () => {
  // Deploys at 100 and 200 s. The first release has 20 sessions that end at 101, 102 … 120 s; the second has one, until 900 s.
  const sessions = columns([
    ...Array.from({ length: 20 }, (_, index) => [50, 51 + index] as const),
    [150, 750],
    [200, 1],
  ]);
  const run = { sessions, every: 100_000, disruptionBudget: 0.05 };
  const windows = (policy: WindowPolicy) => only(run, policy).releases.map(({ windowMs, cut }) => [windowMs, cut]);

  test("budget 0 waits for the last session of each release, and for no session of another", () => {
    expect(windows(DEFAULT_WINDOW)).toEqual([
      [20_000, 0],
      [700_000, 0],
    ]);
  });

  test("a budget of a twentieth cuts one of twenty, and none of one", () => {
    expect(windows(budgetOf(0.05))).toEqual([
      [19_000, 1],
      [700_000, 0],
    ]);
  });

  test("the ceiling is a hard stop: what it cuts beyond the budget is counted, and said to be the ceiling's", () => {
    const outcome = only(run, budgetOf(0, 10_000));
    expect(outcome).toMatchObject({ deploys: 2, overBudget: 2, overBudgetAtCeiling: 2, ceilings: 2, worstCut: 1 });
    expect(outcome.meanCut).toBe(0.75);
    expect(outcome.windowRatio).toBe(1);
  });

  test("a fixed window cuts what is left, and is over when the release is empty", () => {
    expect(windows({ policy: "fixed", window: 15_000, floor: 0 })).toEqual([
      [15_000, 5],
      [15_000, 1],
    ]);
    expect(only(run, { policy: "fixed", window: 15_000, floor: 0 })).toMatchObject({
      overBudget: 2,
      overBudgetAtCeiling: 0,
    });
  });

  test("the clairvoyant window is the shortest that keeps the budget", () => {
    expect(only(run, { policy: "until-empty", floor: 0 }).releases.map(({ clairvoyantMs }) => clairvoyantMs)).toEqual([
      19_000, 700_000,
    ]);
  });

  test("a floor keeps a release warm after its last session, whatever the policy, and is nothing that a clairvoyant could save", () => {
    for (const policy of [
      { ...DEFAULT_WINDOW, floor: 30_000 },
      { policy: "until-empty", floor: 30_000 },
    ] as const) {
      expect(windows(policy)).toEqual([
        [30_000, 0],
        [700_000, 0],
      ]);
      expect(only(run, policy).releases.map(({ clairvoyantMs }) => clairvoyantMs)[0]).toBe(30_000);
    }
  });

  test("releases alive at once and instance-hours count the current one and those retained", () => {
    const outcome = only(run, { policy: "until-empty", floor: 0 });
    expect(outcome.releasesMost).toBe(2);
    expect(outcome.instanceHours).toBeCloseTo(720 / 3600, 12);
    expect(outcome.releasesMean).toBeCloseTo(1 + 720 / 200, 12);
  });

  test("without an estimate there is no forecast, and no number for one", () => {
    expect(only(run, DEFAULT_WINDOW)).toMatchObject({ forecasts: 0, coverage80: null, medianError: null });
  });
});

describe("what means nothing is refused", () => {
  const sessions = columns([
    [0, 10],
    [20_000, 1],
  ]);
  test.each<[Partial<RetentionRun>, string]>([
    [{ every: 0 }, "a deploy every 0 ms is none"],
    [{ every: Number.NaN }, "a deploy every NaN ms is none"],
    [{ first: -1 }, "a first deploy at -1 ms is none"],
    [{ disruptionBudget: 2 }, "a disruption budget of 2 is no share"],
    [{ fold: 0 }, "a fold of 0 ms is no period"],
    [{ every: 1000, first: 0 }, "a deploy every 1s of 5h 33m is 20001 deploys"],
    [{ policies: [budgetOf(-1)] }, "retention: a disruption budget of -1 is no share"],
  ])("%j", (given, problem) => {
    const run = { sessions, every: 10_000, policies: [DEFAULT_WINDOW], seed: 1, ...given };
    expect(() => simulateRetention(run)).toThrow(problem);
    expect(() => simulateRetention(run)).toThrow(HoldoverError);
  });
});

test("the same seed gives the same answer, another one other trials", () => {
  const sessions = traceOf({ ...SHAPES.lognormal, sessions: 3000, days: 3 }, 7);
  const run = (seed: number) => simulateRetention({ sessions, every: 2 * HOUR, policies: [budgetOf(0.05)], seed });
  expect(run(1)).toEqual(run(1));
  expect(run(1)[0]?.releases.map(({ forecast }) => forecast?.highMs)).not.toEqual(
    run(2)[0]?.releases.map(({ forecast }) => forecast?.highMs),
  );
  expect(run(1)[0]?.releases.map(({ windowMs }) => windowMs)).toEqual(
    run(2)[0]?.releases.map(({ windowMs }) => windowMs),
  );
});

test("a policy does the same alone as beside others, whose forecasts it may share", () => {
  const sessions = traceOf({ ...SHAPES.lognormal, sessions: 3000, days: 3 }, 7);
  const policies = [DEFAULT_WINDOW, budgetOf(0, 2 * HOUR), { policy: "until-empty", floor: 0 }] as const;
  const run = (policies: readonly WindowPolicy[]) =>
    simulateRetention({ sessions, every: 2 * HOUR, policies, seed: 1 });
  expect(run(policies)).toEqual(policies.flatMap((policy) => run([policy])));
});

test("says how far it is, never backwards", () => {
  const told: number[] = [];
  const sessions = columns([
    [0, 10],
    [1000, 1],
  ]);
  const onProgress = (done: number) => told.push(done);
  simulateRetention({ sessions, every: 100_000, policies: [DEFAULT_WINDOW], seed: 1, onProgress });
  expect(told.length).toBeGreaterThan(10);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(told.at(-1)).toBe(1);
});

test("the forecast knows nothing of the future: what comes later changes no earlier forecast", () => {
  const sessions = traceOf({ ...SHAPES.exponential, sessions: 3000, days: 3 }, 8);
  const turn = 2 * DAY;
  const changed = {
    startMs: sessions.startMs,
    // Sessions that are over by then are left alone; whatever still lives then lasts until much later.
    durationMs: sessions.durationMs.map((duration, row) =>
      (sessions.startMs[row] ?? 0) + duration > turn ? duration * 5 : duration,
    ),
  };
  const forecasts = (sessions: Trace) =>
    simulateRetention({ sessions, every: 2 * HOUR, policies: [budgetOf(0.05)], seed: 1 }).flatMap(({ releases }) =>
      releases
        .filter(({ cutoverMs }) => cutoverMs <= turn)
        .map(({ forecast }) => [forecast?.lowMs, forecast?.medianMs, forecast?.highMs]),
    );
  expect(forecasts(changed)).toEqual(forecasts(sessions));
  expect(forecasts(sessions).length).toBeGreaterThan(20);
});

test("whatever the sessions, budget keeps to its budget unless the ceiling came first, as soon as one who knows all", () => {
  const session = fc.tuple(fc.nat(5000), fc.nat(3000));
  fc.assert(
    fc.property(
      fc.array(session, { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1000, max: 4_000_000 }),
      fc.integer({ min: 50, max: 2000 }),
      (rows, budget, ceiling, everySeconds) => {
        const sessions = columns(rows.toSorted(([a], [b]) => a - b));
        const outcome = only({ sessions, every: everySeconds * 1000 }, budgetOf(budget, ceiling));
        for (const release of outcome.releases) {
          expect(release.windowMs).toBeLessThanOrEqual(ceiling);
          expect(release.windowMs).toBeLessThanOrEqual(release.clairvoyantMs + 1000);
          expect(release.ceiling || release.cut <= budget * release.live + 1e-6).toBe(true);
        }
        expect(outcome.overBudget).toBe(outcome.overBudgetAtCeiling);
      },
    ),
    { numRuns: 60 },
  );
});

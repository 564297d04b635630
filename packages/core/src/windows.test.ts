import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binAges, type LiveGroup } from "./forecast.ts";
import { lifeSample } from "./life-sample.ts";
import type { SessionLengths } from "./session-lengths.ts";
import { kaplanMeier } from "./survival.ts";
import {
  allowedCuts,
  checkWindowPolicy,
  DEFAULT_WINDOW,
  type RetainedSessions,
  type WindowPolicy,
  windowOf,
} from "./windows.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const CUTOVER = 1_000_000;

/** Lengths of 10, 20 … 1000 minutes. */
const survival = kaplanMeier(
  lifeSample(Array.from({ length: 100 }, (_, index) => ({ exit: (index + 1) * 600_000, ended: true }))),
);
const lengths: SessionLengths = {
  kind: "estimated",
  lengths: survival,
  from: "service",
  why: "100 ended and 0 open sessions",
};
const unknown: SessionLengths = { kind: "unknown", ends: 3, why: "3 ended sessions are too few (30 are needed)" };

const groupOf = (ages: readonly number[]): LiveGroup => ({ live: binAges(Float64Array.from(ages)), lengths: survival });
const hourOld = (many: number) => [groupOf(Array.from({ length: many }, () => HOUR))];

const retainedSessions = (given: Partial<RetainedSessions> = {}): RetainedSessions => ({
  cutoverMs: CUTOVER,
  liveAtCutover: 100,
  left: 40,
  groups: hourOld(40),
  lengths,
  forecast: undefined,
  saidDeadlineMs: undefined,
  ...given,
});
const budgetOf = (disruptionBudget: number, ceiling = DAY, floor = 0): WindowPolicy => ({
  policy: "budget",
  disruptionBudget,
  floor,
  ceiling,
});
const forecast = { lowMs: HOUR, medianMs: 2 * HOUR, highMs: 4 * HOUR, known: true };

describe("budget", () => {
  test("keeps a release as long as more are left than may be cut, and says when that will be over", () => {
    expect(windowOf(budgetOf(0.05), retainedSessions({ forecast }), CUTOVER + HOUR)).toEqual({
      verdict: "retire",
      deadlineMs: CUTOVER + 3 * HOUR,
      hardStopMs: CUTOVER + DAY,
      floorUntilMs: CUTOVER,
      rule: "forecast",
      fromSessions: 100,
      wouldCut: 5,
      moved: undefined,
      why: "40 of the 100 sessions live at the cutover are left, 5 may be cut; expected in 2h (80%: 1h to 4h), from 100 ended sessions",
    });
  });

  test("ends what is left once it is within the budget", () => {
    const within = retainedSessions({ left: 5, groups: hourOld(5) });
    expect(windowOf(budgetOf(0.05), within, CUTOVER + HOUR)).toMatchObject({
      verdict: "expire",
      rule: "budget",
      deadlineMs: CUTOVER + HOUR,
      wouldCut: 5,
      why: "5 of the 100 sessions live at the cutover are left, 5 may be cut",
    });
  });

  test("of 0, the default, cuts nobody before the ceiling, and then says that it was the ceiling", () => {
    const last = retainedSessions({ left: 1, groups: hourOld(1) });
    expect(windowOf(DEFAULT_WINDOW, last, CUTOVER + DAY - 1).verdict).toBe("retire");
    expect(windowOf(DEFAULT_WINDOW, last, CUTOVER + DAY)).toMatchObject({
      verdict: "expire",
      rule: "ceiling",
      wouldCut: 1,
      why: "the ceiling of 1d is reached: 1 of the 100 sessions live at the cutover are left, 0 may be cut",
    });
  });

  test("of 1 lets the release expire at once, and still keeps it warm up to its floor", () => {
    expect(windowOf(budgetOf(1), retainedSessions(), CUTOVER)).toMatchObject({ verdict: "expire", rule: "budget" });
    expect(windowOf(budgetOf(1, DAY, HOUR), retainedSessions(), CUTOVER)).toMatchObject({
      verdict: "keep",
      rule: "floor",
      deadlineMs: CUTOVER + HOUR,
    });
  });

  test("does not take sessions that cannot be counted for none", () => {
    const uncounted = retainedSessions({ left: undefined });
    expect(windowOf(budgetOf(0.05), uncounted, CUTOVER)).toMatchObject({
      verdict: "retire",
      rule: "ceiling",
      deadlineMs: CUTOVER + DAY,
      wouldCut: undefined,
    });
  });

  test("decides by the count alone, which is fresh, not by the ages, which may be some seconds old", () => {
    const stale = { groups: hourOld(40) };
    expect(windowOf(budgetOf(0.05), retainedSessions({ ...stale, left: 5 }), CUTOVER).verdict).toBe("expire");
    expect(windowOf(budgetOf(0.05), retainedSessions({ groups: hourOld(3), left: 6 }), CUTOVER).verdict).toBe("retire");
    expect(windowOf(budgetOf(0.05), retainedSessions({ groups: undefined }), CUTOVER)).toMatchObject({
      verdict: "retire",
      wouldCut: undefined,
    });
    // By their ages 35 of the 40 would be left at the ceiling: no more than the three that there are can be cut.
    expect(windowOf(budgetOf(0, 2 * HOUR), retainedSessions({ ...stale, left: 3 }), CUTOVER).wouldCut).toBe(3);
  });

  test("with sessions at the cutover that nobody counted cuts none before the ceiling", () => {
    const uncounted = retainedSessions({ liveAtCutover: null, left: 1, groups: hourOld(1) });
    expect(windowOf(budgetOf(1), uncounted, CUTOVER + DAY - 1)).toMatchObject({
      verdict: "retire",
      rule: "ceiling",
      why: "1 left; how many were live at the cutover is not known, so none may be cut; at the latest at the ceiling of 1d",
    });
    expect(windowOf(budgetOf(1), uncounted, CUTOVER + DAY).verdict).toBe("expire");
    expect(windowOf(budgetOf(1), { ...uncounted, left: 0 }, CUTOVER)).toMatchObject({
      verdict: "retire",
      rule: "empty",
    });
  });

  test("counts what lingers among what the ceiling would cut", () => {
    const lingering = { left: 42, lingerMs: 30 * 60_000, lingerers: [HOUR, 3 * HOUR] };
    // Whose connection ends in the last half hour before the ceiling still holds its place: of 94 there are 85 after 90 minutes.
    expect(windowOf(budgetOf(0, 2 * HOUR), retainedSessions(lingering), CUTOVER).wouldCut).toBeCloseTo(
      (40 * 85) / 94 + 1,
      6,
    );
  });

  test("says how many the ceiling will cut, where the forecast goes past it", () => {
    const late = retainedSessions({ forecast: { ...forecast, medianMs: 3 * DAY } });
    const verdict = windowOf(budgetOf(0, 2 * HOUR), late, CUTOVER);
    expect(verdict).toMatchObject({ rule: "ceiling", deadlineMs: CUTOVER + 2 * HOUR });
    // Of those older than 60 minutes 94 are left; after two hours more 82 of these.
    expect(verdict.wouldCut).toBeCloseTo((40 * 82) / 94, 6);
  });

  test("with lengths that nobody knows keeps to the ceiling and says why", () => {
    expect(windowOf(budgetOf(0), retainedSessions({ lengths: unknown, groups: undefined }), CUTOVER).why).toBe(
      "40 of the 100 sessions live at the cutover are left, 0 may be cut; at the latest at the ceiling of 1d; 3 ended sessions are too few (30 are needed)",
    );
  });

  test.each([
    [0.29, 100, 29],
    [0.07, 100, 7],
    [0.05, 19, 0],
    [0, 1000, 0],
    [1, 7, 7],
  ])("of %d with %d live allows %d", (budget, live, allowed) => {
    expect(allowedCuts(budget, live)).toBe(allowed);
  });
});

describe("quantile", () => {
  const policy = { policy: "quantile", quantile: 0.5, factor: 1.5, floor: 0, ceiling: DAY } as const;

  test("is the length times the factor, and says of how many sessions", () => {
    expect(windowOf(policy, retainedSessions(), CUTOVER)).toMatchObject({
      verdict: "retire",
      rule: "quantile",
      deadlineMs: CUTOVER + 750 * 60_000,
      fromSessions: 100,
      why: "P50 of 100 ended and 0 open sessions is 8h 20m, times 1.5: 12h 30m",
    });
  });

  test("stays within floor and ceiling, and says which one set it", () => {
    expect(windowOf({ ...policy, ceiling: HOUR }, retainedSessions(), CUTOVER)).toMatchObject({
      rule: "ceiling",
      deadlineMs: CUTOVER + HOUR,
    });
    expect(windowOf({ ...policy, floor: 20 * HOUR }, retainedSessions(), CUTOVER)).toMatchObject({
      verdict: "keep",
      rule: "floor",
      deadlineMs: CUTOVER + 20 * HOUR,
    });
  });

  test("keeps to the ceiling where there are too few sessions", () => {
    expect(windowOf(policy, retainedSessions({ lengths: unknown }), CUTOVER)).toMatchObject({
      rule: "ceiling",
      deadlineMs: CUTOVER + DAY,
      fromSessions: 0,
      why: "3 ended sessions are too few (30 are needed), so it is kept to the ceiling of 1d",
    });
  });
});

test("fixed ends at its window, at least at its floor; until-empty never does", () => {
  expect(windowOf({ policy: "fixed", window: HOUR, floor: 0 }, retainedSessions(), CUTOVER + HOUR)).toMatchObject({
    verdict: "expire",
    rule: "fixed",
    wouldCut: 40,
  });
  expect(windowOf({ policy: "until-empty", floor: 0 }, retainedSessions(), CUTOVER + 99 * DAY)).toMatchObject({
    verdict: "retire",
    deadlineMs: null,
    hardStopMs: null,
    wouldCut: 0,
  });
});

describe("a deadline that changes", () => {
  const said = (hours: number) =>
    windowOf(
      { policy: "fixed", window: 10 * HOUR, floor: 0 },
      retainedSessions({ saidDeadlineMs: CUTOVER + hours * HOUR }),
      CUTOVER,
    ).moved;

  test("by more than a tenth of the window is told, by less it is not", () => {
    expect(said(9.2)).toBeUndefined();
    expect(said(9)).toEqual({ fromMs: CUTOVER + 9 * HOUR, toMs: CUTOVER + 10 * HOUR });
    expect(said(12)).toMatchObject({ toMs: CUTOVER + 10 * HOUR });
  });
});

describe("a policy that means nothing is refused with its numbers", () => {
  test.each<[WindowPolicy, string]>([
    [budgetOf(1.5), "retention: a disruption budget of 1.5 is no share"],
    [budgetOf(Number.NaN), "retention: a disruption budget of NaN is no share"],
    [budgetOf(0, 0), "retention: a ceiling of 0 ms keeps nothing"],
    [budgetOf(0, HOUR, 2 * HOUR), "retention: the floor of 2h is above the ceiling of 1h"],
    [{ policy: "fixed", window: -1, floor: 0 }, "retention: a window of -1 ms is no time"],
    [{ policy: "until-empty", floor: Infinity }, "retention: a floor of Infinity ms is no time"],
    [
      { policy: "quantile", quantile: 95, factor: 1, floor: 0, ceiling: DAY },
      "retention: quantile 95 times 1 is no window",
    ],
  ])("%j", (policy, problem) => {
    expect(() => checkWindowPolicy(policy)).toThrow(problem);
  });

  test("a budget of 0 and of 1 mean something", () => {
    expect(() => checkWindowPolicy(budgetOf(0))).not.toThrow();
    expect(() => checkWindowPolicy(budgetOf(1))).not.toThrow();
  });
});

describe("whatever the policy, the sessions and the clock", () => {
  const span = fc.integer({ min: 1, max: 2 * DAY });
  const policy: fc.Arbitrary<WindowPolicy> = fc
    .tuple(span, span, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0.1, max: 10, noNaN: true }))
    .chain(([a, b, share, factor]) => {
      const [floor, ceiling] = [Math.min(a, b), Math.max(a, b)];
      return fc.constantFrom<WindowPolicy>(
        budgetOf(share, ceiling, floor),
        { policy: "quantile", quantile: 0.01 + 0.98 * share, factor, floor, ceiling },
        { policy: "fixed", window: b, floor },
        { policy: "until-empty", floor },
      );
    });
  const sessions = fc.record({
    liveAtCutover: fc.option(fc.integer({ min: 50, max: 200 })),
    left: fc.option(fc.nat(50), { nil: undefined }),
    groups: fc.option(
      fc.array(
        fc.array(fc.nat(2 * DAY), { maxLength: 25 }).map((ages) => groupOf(ages)),
        { maxLength: 2 },
      ),
      { nil: undefined },
    ),
    lengths: fc.constantFrom(lengths, unknown),
    forecast: fc.option(
      fc.nat(9 * DAY).map((medianMs) => ({ lowMs: 0, medianMs, highMs: 9 * DAY, known: true })),
      {
        nil: undefined,
      },
    ),
  });
  const clock = fc.integer({ min: CUTOVER - DAY, max: CUTOVER + 4 * DAY });

  test("the window never passes the ceiling, and no number is NaN", () => {
    fc.assert(
      fc.property(policy, sessions, clock, (policy, given, nowMs) => {
        const verdict = windowOf(policy, retainedSessions(given), nowMs);
        const hardStop = verdict.hardStopMs ?? Infinity;
        expect(Number.isInteger(verdict.deadlineMs ?? 0)).toBe(true);
        expect(verdict.deadlineMs ?? 0).toBeLessThanOrEqual(hardStop);
        expect(verdict.verdict === "expire" || nowMs < hardStop || given.left === 0).toBe(true);
        expect(verdict.wouldCut ?? 0).toBeGreaterThanOrEqual(0);
        expect(verdict.wouldCut ?? 0).toBeLessThanOrEqual(given.left ?? 0);
        expect(verdict.why).not.toMatch(/NaN|undefined|Infinity/);
      }),
      { numRuns: 500 },
    );
  });

  test("budget cuts no more than allowed while the ceiling is not reached", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), sessions, clock, (share, given, nowMs) => {
        const verdict = windowOf(budgetOf(share), retainedSessions(given), nowMs);
        if (verdict.verdict !== "expire" || nowMs >= CUTOVER + DAY) return;
        expect(given.left).toBeLessThanOrEqual(share * (given.liveAtCutover ?? 0) + 1e-6);
      }),
      { numRuns: 500 },
    );
  });
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEPT, sampleRelease } from "../test/sample-service.ts";
import { current, retained } from "./release.ts";
import { beyondMost, retainedWindow, type Outlook } from "./retention.ts";
import type { RetentionPolicy } from "./service.ts";

const release = sampleRelease("v1", retained(1000, 4));
const windowAt = (policy: RetentionPolicy, nowMs: number, left: number | undefined = 2, outlook?: Outlook) =>
  retainedWindow(release, policy, left, outlook, nowMs);

describe("a fixed window", () => {
  const policy = { ...KEPT, policy: "fixed" as const, window: 2000, floor: 500 };

  test.each([
    [1000, "keep"],
    [1499, "keep"],
    [1500, "retire"],
    [2999, "retire"],
    [3000, "expire"],
    [9000, "expire"],
  ])("at %d ms says %s", (nowMs, verdict) => {
    expect(windowAt(policy, nowMs)).toMatchObject({ verdict, deadlineMs: 3000, floorUntilMs: 1500, rule: "fixed" });
  });
});

test("until-empty never ends a session by its age", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (floor, nowMs) => {
      expect(windowAt({ ...KEPT, policy: "until-empty", floor }, nowMs)).not.toMatchObject({ verdict: "expire" });
    }),
  );
});

describe("the budget", () => {
  const policy = { ...KEPT, policy: "budget" as const, disruptionBudget: 0.5, floor: 0, ceiling: 60_000 };

  test("goes by the sessions that are live now, not by the outlook of some seconds ago", () => {
    expect(windowAt(policy, 2000, 3).verdict).toBe("retire");
    expect(windowAt(policy, 2000, 2)).toMatchObject({ verdict: "expire", rule: "budget", wouldCut: 2 });
    expect(retainedWindow(release, policy, undefined, undefined, 2000)).toMatchObject({
      verdict: "retire",
      rule: "ceiling",
    });
  });

  test("cuts nobody before the ceiling where those live at the cutover were not counted", () => {
    const unknown = sampleRelease("v1", retained(1000, null));
    expect(retainedWindow(unknown, policy, 1, undefined, 60_999)).toMatchObject({
      verdict: "retire",
      deadlineMs: 61_000,
    });
    expect(retainedWindow(unknown, policy, 1, undefined, 61_000).verdict).toBe("expire");
  });

  test("says the time that the forecast has left, however old it is", () => {
    const outlook: Outlook = {
      atMs: 2000,
      lengths: { kind: "unknown", ends: 0, why: "none" },
      groups: undefined,
      linger: {},
      forecast: { lowMs: 1000, medianMs: 5000, highMs: 9000, known: true },
      trials: 0,
      stretch: { low: 1, median: 1, high: 1 },
    };
    expect(windowAt(policy, 2000, 4, outlook)).toMatchObject({ rule: "forecast", deadlineMs: 7000 });
    expect(windowAt(policy, 4000, 4, outlook)).toMatchObject({ rule: "forecast", deadlineMs: 7000 });
    expect(windowAt(policy, 8000, 4, outlook)).toMatchObject({ rule: "forecast", deadlineMs: 8001 });
  });
});

test("only a retained release has a window", () => {
  const policy = { ...KEPT, policy: "until-empty" as const, floor: 0 };
  expect(() => retainedWindow(sampleRelease("v1", current(1)), policy, 0, undefined, 5)).toThrow("v1 is current");
});

test("of more releases than may be retained the oldest are too many, whatever their order in the list", () => {
  const releases = [
    sampleRelease("v2", retained(9, 0), { currentAtMs: 20 }),
    sampleRelease("v4", current(30), { currentAtMs: 40 }),
    sampleRelease("v1", retained(30, 0), { currentAtMs: 10 }),
    sampleRelease("v3", retained(5, 0), { currentAtMs: 30 }),
  ];
  const beyond = (maxRetained?: number) =>
    beyondMost(releases, { ...KEPT, policy: "until-empty", floor: 0, ...(maxRetained ? { maxRetained } : {}) }).map(
      ({ id }) => id,
    );
  expect([beyond(), beyond(3), beyond(2), beyond(1)]).toEqual([[], [], ["v1"], ["v1", "v2"]]);
});

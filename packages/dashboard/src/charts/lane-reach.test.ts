import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { TimelineView } from "@holdover/control/api";
import { reachOf } from "./lane-reach.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = 10 * HOUR_MS;

function timelineOf(...lanes: (readonly (number | null)[])[]): TimelineView {
  const moments = lanes[0]?.length ?? 2;
  const stepMs = HOUR_MS / (moments - 1);
  return {
    service: "rooms",
    nowMs: NOW_MS,
    fromMs: NOW_MS - HOUR_MS,
    stepMs,
    moments,
    lanes: lanes.map((sessions, index) => ({ release: `v${index}`, sessions: [...sessions] })),
    marks: [],
  };
}

const unknown = (many: number): null[] => Array.from({ length: many }, () => null);

test("a service of three minutes is not shown as an hour of which nothing is known", () => {
  const timeline = timelineOf([...unknown(57), 1, 2, 3, 4], unknown(61));
  const reachMs = reachOf(timeline, NOW_MS, HOUR_MS);
  expect(reachMs).toBeGreaterThanOrEqual(180_000);
  expect(reachMs).toBeLessThan(360_000);
});

test("time in which nobody counted stays a gap when there was something before it", () => {
  expect(reachOf(timelineOf([0, ...unknown(50), 4], unknown(52)), NOW_MS, HOUR_MS)).toBe(HOUR_MS);
});

test("where nothing is known at all, or nothing is there, the whole range is shown", () => {
  expect(reachOf(timelineOf(unknown(60)), NOW_MS, HOUR_MS)).toBe(HOUR_MS);
  expect(reachOf(timelineOf(), NOW_MS, HOUR_MS)).toBe(HOUR_MS);
});

test("what is known is shown, all of it, and never more than was asked for", () => {
  const lane = fc.array(fc.option(fc.nat(9)), { minLength: 2, maxLength: 80 });
  fc.assert(
    fc.property(lane, (sessions) => {
      const timeline = timelineOf(sessions);
      const reachMs = reachOf(timeline, NOW_MS, HOUR_MS);
      expect(reachMs).toBeLessThanOrEqual(HOUR_MS);
      const hidden = sessions.filter((_, at) => timeline.fromMs + at * timeline.stepMs < NOW_MS - reachMs - 1);
      expect(hidden.filter((count) => count !== null)).toEqual([]);
    }),
  );
});

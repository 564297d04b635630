import type { TimelineView } from "@holdover/control/api";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { laneLayout } from "./lane-layout.ts";

const NOW = 1_800_000_000_000;
const RANGE_MS = 3_600_000;

function timelineOf(lanes: readonly (readonly (number | null)[])[]): TimelineView {
  const moments = Math.max(1, ...lanes.map((sessions) => sessions.length));
  const stepMs = moments > 1 ? RANGE_MS / (moments - 1) : RANGE_MS;
  return {
    service: "rooms",
    nowMs: NOW,
    fromMs: NOW - stepMs * (moments - 1),
    stepMs,
    moments,
    lanes: lanes.map((sessions, index) => ({ release: `v${index}`, sessions: [...sessions] })),
    marks: [],
  };
}

const counts = fc.array(fc.option(fc.integer({ min: 0, max: 5000 })), { minLength: 40, maxLength: 40 });

describe("lanes", () => {
  it("keeps every band inside its lane, and lanes from covering each other, whatever is counted", () => {
    fc.assert(
      fc.property(fc.array(counts, { maxLength: 60 }), fc.integer({ min: 320, max: 2000 }), (lanes, width) => {
        const layout = laneLayout({
          timeline: timelineOf(lanes),
          service: { releases: [], current: null },
          forecasts: [],
          rangeMs: RANGE_MS,
          nowMs: NOW,
          anchorMs: NOW,
          width,
        });
        let bottom = layout.plot.top;
        for (const lane of layout.lanes) {
          expect(lane.top).toBe(bottom);
          bottom += lane.height;
          for (const { half } of lane.band.pieces) {
            for (const each of half) expect(each).toBeLessThanOrEqual(lane.room / 2);
          }
        }
        expect(layout.height).toBeGreaterThan(bottom);
      }),
    );
  });
});

import type { ForecastView, ReleaseView, TimelineView } from "@holdover/control/api";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outlinePath } from "./band.ts";
import { HOLDS_MS, laneLayout, type LanesInput, type LanesLayout } from "./lane-layout.ts";
import { releaseView, retentionView } from "./release-fixture.ts";

const NOW = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const MOMENTS = 30;
const STATES = ["starting", "ready", "ramping", "current", "retained", "expiring", "retired", "failed"] as const;
const KINDS = [
  "release.starting",
  "release.ramping",
  "release.current",
  "release.rolled-back",
  "release.expiring",
  "release.retired",
  "release.failed",
] as const;

type Samples = readonly (number | null)[];

function inputOf(told: {
  readonly lanes: readonly Samples[];
  readonly releases?: readonly ReleaseView[];
  readonly forecasts?: readonly ForecastView[];
  readonly marks?: TimelineView["marks"];
  readonly width?: number;
  readonly anchorMs?: number;
}): LanesInput {
  const moments = Math.max(1, ...told.lanes.map((sessions) => sessions.length));
  const stepMs = HOUR_MS / Math.max(1, moments - 1);
  return {
    timeline: {
      service: "rooms",
      nowMs: NOW,
      fromMs: NOW - stepMs * (moments - 1),
      stepMs,
      moments,
      lanes: told.lanes.map((sessions, index) => ({ release: `v${index}`, sessions: [...sessions] })),
      marks: told.marks ?? [],
    },
    service: { releases: [...(told.releases ?? [])], current: null },
    forecasts: told.forecasts ?? [],
    rangeMs: HOUR_MS,
    nowMs: NOW,
    anchorMs: told.anchorMs ?? NOW,
    width: told.width ?? 1000,
  };
}

const within = fc.integer({ min: -HOUR_MS, max: 40 * 24 * HOUR_MS }).map((after) => NOW + after);
const retention = fc
  .tuple(fc.option(fc.tuple(within, within, within)), fc.option(within), fc.option(within))
  .map(([retires, deadlineMs, hardStopMs]) => {
    const [lowMs, medianMs, highMs] = (retires ?? []).toSorted((a, b) => a - b);
    return retentionView({
      deadlineMs,
      hardStopMs,
      retires: retires ? { lowMs: lowMs!, medianMs: medianMs!, highMs: highMs!, known: true } : null,
    });
  });
const lane = fc.record({
  sessions: fc.array(fc.option(fc.integer({ min: 0, max: 5000 })), { minLength: MOMENTS, maxLength: MOMENTS }),
  state: fc.constantFrom(...STATES),
  retention: fc.option(retention),
  live: fc.option(fc.nat(5000)),
});
const anything = fc
  .record({
    lanes: fc.array(lane, { maxLength: 20 }),
    marks: fc.array(
      fc.record({ after: fc.integer({ min: -2 * HOUR_MS, max: 0 }), kind: fc.constantFrom(...KINDS), at: fc.nat(19) }),
      { maxLength: 20 },
    ),
    width: fc.integer({ min: 0, max: 2000 }),
    driftMs: fc.integer({ min: 0, max: HOUR_MS / 8 }),
    left: fc.array(fc.nat(5000), { maxLength: 10 }),
  })
  .map(({ lanes, marks, width, driftMs, left }) => {
    const releases = lanes.map(({ state, retention, live }, index) =>
      releaseView({
        id: `v${index}`,
        state,
        retention: state === "retained" || state === "expiring" ? retention : null,
        sessions: live === null ? null : { open: live, lingering: 0, connections: live, wedged: 0 },
      }),
    );
    const points = left
      .toSorted((a, b) => b - a)
      .map((high, index) => ({
        atMs: NOW + index ** 2 * 60_000,
        low: high / 3,
        median: high / 2,
        high,
      }));
    const forecasts = releases.map(
      ({ id }) => ({ release: id, left: points }) as Partial<ForecastView> as ForecastView,
    );
    return inputOf({
      lanes: lanes.map(({ sessions }) => sessions),
      releases,
      forecasts,
      width,
      anchorMs: NOW - driftMs,
      marks: marks.map(({ after, kind, at }, seq) => ({
        seq,
        kind,
        atMs: NOW + after,
        release: `v${at}`,
        actor: "",
        reason: "",
      })),
    });
  });

/** Every number of a layout, wherever it is. */
function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((each) => numbersOf(each));
}

const bandsOf = ({ lanes }: LanesLayout) => lanes.flatMap(({ band }) => band.pieces);

describe("the layout of lanes", () => {
  it("is made of finite numbers, whatever is told", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const layout = laneLayout(input);
        expect(numbersOf(layout).filter((value) => !Number.isFinite(value))).toEqual([]);
        expect(bandsOf(layout).filter((piece) => /NaN|Infinity|undefined/.test(outlinePath(piece)))).toEqual([]);
      }),
    );
  });

  it("keeps every band inside its lane, and lanes from covering each other", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const { lanes, plot, height } = laneLayout(input);
        const tops = lanes.map(({ top }) => top);
        expect(tops).toEqual(lanes.map((_, at) => lanes.slice(0, at).reduce((y, { height }) => y + height, plot.top)));
        expect(height).toBeGreaterThan(plot.bottom);
        const outside = lanes.filter(
          ({ band, room, middle, top, height }) =>
            band.pieces.some(({ half }) => Math.max(...half) > room / 2) ||
            middle - room / 2 < top ||
            middle + room / 2 > top + height,
        );
        expect(outside).toEqual([]);
      }),
    );
  });

  it("puts marks in their order and into the lane of their release", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const { marks, lanes } = laneLayout(input);
        const inOrder = marks.toSorted((a, b) => a.event.seq - b.event.seq);
        expect(marks).toEqual(inOrder);
        for (const { event, y } of marks) {
          const lane = lanes.find(({ release, folded }) => release === event.release || folded.includes(event.release));
          expect(y).toBe(lane?.middle);
        }
      }),
    );
  });

  it("shows what happens later further to the right", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const { marks } = laneLayout(input);
        const byTime = marks.toSorted((a, b) => a.event.atMs - b.event.atMs).map(({ x }) => x);
        expect(byTime).toEqual(byTime.toSorted((a, b) => a - b));
      }),
    );
  });

  it("draws the same picture, shifted, when it is laid out for an earlier moment", () => {
    const told = { lanes: [[0, 3, null, 8, 8, 2]] };
    const [now, before] = [laneLayout(inputOf(told)), laneLayout(inputOf({ ...told, anchorMs: NOW - 60_000 }))];
    const shift = 60_000 * now.pxPerMs;
    const xs = (layout: LanesLayout) => bandsOf(layout).flatMap(({ x }) => x);
    expect(xs(before).length).toBe(xs(now).length);
    for (const [index, x] of xs(now).entries()) expect(xs(before)[index]).toBeCloseTo(x + shift, 6);
  });

  it("does not take a moment that nobody knows for zero", () => {
    const { lanes } = laneLayout(inputOf({ lanes: [[5, null, 0, 0]] }));
    const [gap] = lanes[0]?.band.gaps ?? [];
    expect(gap?.fromX).toBeLessThan(gap?.toX ?? 0);
    expect(lanes[0]?.band.pieces).toHaveLength(1);
  });

  it("knows that a release had no session before it was made, whoever counted then", () => {
    const releases = [releaseView({ id: "v0", state: "current", createdAtMs: NOW - HOUR_MS / 2 })];
    const { lanes } = laneLayout(inputOf({ lanes: [[null, null, null, 4, 4]], releases }));
    expect(lanes[0]?.sessions).toEqual([0, 0, null, 4, 4]);
    const again = laneLayout(inputOf({ lanes: [[null, 3, null, null, 4]], releases }));
    expect(again.lanes[0]?.sessions).toEqual([0, 3, null, null, 4]);
  });

  it("says that it has not heard once the last numbers are old", () => {
    const input = inputOf({ lanes: [[5, 5]] });
    const layout = laneLayout({ ...input, nowMs: NOW + 2 * HOLDS_MS, anchorMs: NOW + 2 * HOLDS_MS });
    const gap = layout.lanes[0]?.band.gaps.at(-1);
    expect(gap?.fromX).toBeCloseTo(layout.nowX - HOLDS_MS * layout.pxPerMs, 6);
    expect(gap?.toX).toBeGreaterThan(layout.nowX);
  });

  it("has the newest release on top, also one that has no numbers yet", () => {
    const releases = ["v0", "v1", "v2"].map((id) => releaseView({ id, state: id === "v2" ? "starting" : "retained" }));
    const { lanes } = laneLayout(inputOf({ lanes: [[1], [2]], releases }));
    expect(lanes.map(({ release }) => release)).toEqual(["v2", "v1", "v0"]);
  });

  it("shows a release that failed before it had anything to count", () => {
    const releases = [releaseView({ id: "v0", state: "current" }), releaseView({ id: "v1", state: "failed" })];
    const failed = {
      seq: 1,
      kind: "release.failed",
      atMs: NOW - 60_000,
      release: "v1",
      actor: "",
      reason: "",
    } as const;
    const { lanes, marks } = laneLayout(inputOf({ lanes: [[1, 1]], releases, marks: [failed] }));
    expect(lanes.map(({ release, sessions }) => [release, sessions])).toEqual([
      ["v1", [0, 0]],
      ["v0", [1, 1]],
    ]);
    expect(marks.map(({ event, y }) => [event.kind, y])).toEqual([["failed", lanes[0]?.middle]]);
    expect(laneLayout(inputOf({ lanes: [[1, 1]], releases })).lanes).toHaveLength(1);
  });

  it("folds releases that are gone into one lane where there are many, with the sum of their sessions", () => {
    const lanes = Array.from({ length: 50 }, (_, index) => (index === 3 ? [1, null] : [1, 2]));
    const releases = lanes.map((_, index) =>
      releaseView({ id: `v${index}`, state: index === 49 ? "current" : index > 45 ? "retained" : "retired" }),
    );
    const layout = laneLayout(inputOf({ lanes, releases }));
    expect(layout.lanes.map(({ release }) => release)).toEqual(["v49", "v48", "v47", "v46", undefined]);
    expect(layout.lanes.at(-1)?.folded).toHaveLength(46);
    expect(layout.lanes.at(-1)?.sessions).toEqual([46, null]);
  });

  it("folds nothing while there are few, and never a release that failed after the current one", () => {
    const few = ["v0", "v1"].map((id) => releaseView({ id, state: id === "v1" ? "current" : "retired" }));
    expect(laneLayout(inputOf({ lanes: [[1], [1]], releases: few })).lanes).toHaveLength(2);
    const many = Array.from({ length: 12 }, (_, index) =>
      releaseView({ id: `v${index}`, state: index === 11 ? "failed" : index === 10 ? "current" : "retired" }),
    );
    const layout = laneLayout(inputOf({ lanes: many.map(() => [1]), releases: many }));
    expect(layout.lanes.map(({ release }) => release)).toEqual(["v11", "v10", undefined]);
  });

  it("leaves room ahead of now only where something is retained, and claims nothing for what takes new sessions", () => {
    const alone = laneLayout(inputOf({ lanes: [[4]], releases: [releaseView({ id: "v0", state: "current" })] }));
    expect(alone.plot.right - alone.nowX).toBeLessThan(80);
    expect(alone.lanes[0]?.ahead.kind).toBe("open");
    const releases = [releaseView({ id: "v0", state: "retained" }), releaseView({ id: "v1", state: "current" })];
    const beside = laneLayout(inputOf({ lanes: [[4], [4]], releases }));
    expect(beside.nowX - beside.plot.left).toBeCloseTo(0.75 * (beside.plot.right - beside.plot.left), 0);
    expect(beside.lanes[1]?.ahead).toEqual({ kind: "unknown", ends: [] });
  });

  it("has every end that is told of within the picture, however far ahead", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const { lanes, plot } = laneLayout(input);
        const xs = lanes.flatMap(({ ahead }) => {
          const ends = ahead.kind === "fan" || ahead.kind === "unknown" ? ahead.ends.map(({ x }) => x) : [];
          return ahead.kind === "fan" ? ends.concat(ahead.retires.highX) : ends;
        });
        expect(xs.filter((x) => x > plot.right)).toEqual([]);
      }),
    );
  });

  it("does not mark a start that led to a cutover at once", () => {
    const mark = (seq: number, kind: (typeof KINDS)[number], agoMs: number) => ({
      seq,
      kind,
      atMs: NOW - agoMs,
      release: "v0",
      actor: "",
      reason: "",
    });
    const marks = [mark(1, "release.starting", 601_000), mark(2, "release.current", 600_000)];
    const kinds = (layout: LanesLayout) => layout.marks.map(({ event }) => event.kind);
    expect(kinds(laneLayout(inputOf({ lanes: [[1]], marks })))).toEqual(["cutover"]);
    const slow = [mark(1, "release.starting", 1_800_000), mark(2, "release.current", 600_000)];
    expect(kinds(laneLayout(inputOf({ lanes: [[1]], marks: slow })))).toEqual(["starting", "cutover"]);
  });
});

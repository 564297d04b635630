import type { ForecastView, ReleaseView, ServiceView, TimelineView } from "@holdover/control/api";
import { type Ahead, type AheadAxis, aheadOf, spanAhead } from "./ahead.ts";
import { type Band, bandOf } from "./band.ts";
import { type LaneRow, laneRows, peakOf } from "./lane-rows.ts";
import { type StoryEvent, storyOf } from "./lane-story.ts";
import { halfOf, type SessionScale, sessionScale } from "./session-scale.ts";
import { type ClockTick, clockTicks, type SpanTick, spanTicks } from "./time-axis.ts";

/**
 * Where everything of the lanes is drawn, in px. Only times and counts go in: the same input gives the same picture.
 * All x are those of the moment `anchorMs`; as time goes on, what is past is shifted by `pxPerMs`, what is ahead by the
 * pace of its own axis, and nothing has to be laid out again.
 */

export interface LanesInput {
  readonly timeline: TimelineView;
  readonly releases: ServiceView["releases"];
  readonly forecasts: readonly ForecastView[];
  readonly rangeMs: number;
  /** The moment for which "now" is on the line; close to the real now. */
  readonly anchorMs: number;
  readonly width: number;
}

export interface LanesLayout {
  readonly width: number;
  readonly height: number;
  readonly narrow: boolean;
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };
  readonly nowX: number;
  readonly pxPerMs: number;
  readonly ahead: AheadAxis & { readonly ownScale: boolean };
  readonly scale: SessionScale;
  readonly lanes: readonly Lane[];
  readonly marks: readonly LaneMark[];
  readonly ticks: readonly (ClockTick & { readonly x: number })[];
  readonly aheadTicks: readonly (SpanTick & { readonly x: number })[];
}

export interface Lane {
  /** The release's id; of the lane in which retired releases are folded: undefined. */
  readonly release: string | undefined;
  /** Releases that it stands for, oldest first. */
  readonly folded: readonly string[];
  /** 1 to 6. */
  readonly colour: number;
  readonly state: ReleaseView["state"];
  readonly percent: number;
  readonly top: number;
  readonly height: number;
  /** Height that the band has, px: that of the lane but for the name above it where the picture is narrow. */
  readonly room: number;
  /** The line around which the band lies. */
  readonly middle: number;
  /** Live sessions now; null: not known. */
  readonly live: number | null;
  readonly band: Band;
  readonly ahead: Ahead;
}

export interface LaneMark {
  readonly event: StoryEvent;
  readonly x: number;
  readonly y: number;
  /** Where the lane that hands over lies; undefined: nothing is handed over between lanes. */
  readonly fromY: number | undefined;
  readonly colour: number;
}

const NARROW_PX = 640;
/** For how long the last sample is taken to hold. After that the picture says that it has not heard. */
export const HOLDS_MS = 30_000;
const LABELS_PX = 168;
const NAME_PX = 18;
const TOP_PX = 26;
const FOOT_PX = 26;
const BUDGET_PX = 440;
const LEAST_LANE_PX = 14;
const LANE_PX = 44;
const TICK_PX = 76;
const COUNT_PX = 56;

export function laneLayout(input: LanesInput): LanesLayout {
  const { timeline, releases, forecasts, rangeMs, anchorMs } = input;
  const narrow = input.width < NARROW_PX;
  const width = Math.max(input.width, 200);
  const left = narrow ? 0 : LABELS_PX;
  const right = width;

  const retained = releases.some(({ state }) => state === "retained" || state === "expiring");
  const retentions = releases.flatMap(({ retention }) => retention ?? []);
  const needMs = spanAhead(retentions, anchorMs);
  const nowX = retained ? left + Math.round((right - left) * 0.75) : right - COUNT_PX;
  const pxPerMs = (nowX - left) / rangeMs;
  const sameMs = (right - nowX) / pxPerMs;
  const spanMs = needMs === undefined ? sameMs : Math.max(sameMs, needMs);
  const aheadPace = (right - nowX) / spanMs;
  const ahead = {
    spanMs,
    pxPerMs: aheadPace,
    xOf: (atMs: number) => nowX + (atMs - anchorMs) * aheadPace,
    ownScale: spanMs > sameMs,
  };

  const rows = laneRows(timeline, releases);
  const name = narrow ? NAME_PX : 0;
  const budget = BUDGET_PX - rows.length * name;
  const least = Math.max(
    LEAST_LANE_PX,
    Math.min(narrow ? LANE_PX - NAME_PX : LANE_PX, budget / Math.max(1, rows.length)),
  );
  const firstMs = anchorMs - rangeMs;
  const scale = sessionScale(
    rows.map((row) => peakOf(row, timeline, firstMs)),
    least,
    budget,
  );
  const x = Array.from(
    { length: timeline.moments },
    (_, index) => nowX + (timeline.fromMs + index * timeline.stepMs - anchorMs) * pxPerMs,
  );
  const holdsUntilX = nowX + (timeline.nowMs + HOLDS_MS - anchorMs) * pxPerMs;
  const half = (sessions: number) => halfOf(sessions, scale.pxPerSession);
  let top = TOP_PX;
  const lanes = rows.map((row, index): Lane => {
    const room = scale.heights[index] ?? least;
    const lane: Lane = {
      release: row.release,
      folded: row.folded,
      colour: row.colour,
      state: row.state,
      percent: row.percent,
      top,
      height: name + room,
      room,
      middle: top + name + room / 2,
      live: row.live,
      // Nothing of the past reaches beyond one range to the right: the picture is laid out anew before that.
      band: bandOf({ sessions: row.sessions, x, holdsUntilX, endX: nowX + rangeMs * pxPerMs }, half),
      ahead: aheadOfRow(row, forecasts, ahead, scale.pxPerSession),
    };
    top += name + room;
    return lane;
  });

  return {
    width,
    height: top + FOOT_PX,
    narrow,
    plot: { left, right, top: TOP_PX, bottom: top },
    nowX,
    pxPerMs,
    ahead,
    scale,
    lanes,
    marks: marksOf(storyOf(timeline.marks, releases), lanes, (atMs) => nowX + (atMs - anchorMs) * pxPerMs, firstMs),
    ticks: clockTicks(firstMs, anchorMs + rangeMs / 4, TICK_PX / pxPerMs).map(({ atMs, label }) => ({
      atMs,
      label,
      x: nowX + (atMs - anchorMs) * pxPerMs,
    })),
    aheadTicks: retained
      ? spanTicks(spanMs, Math.max(TICK_PX * 0.8, (right - nowX) / 4) / aheadPace).map(({ afterMs, label }) => ({
          afterMs,
          label,
          x: nowX + afterMs * aheadPace,
        }))
      : [],
  };
}

function aheadOfRow(row: LaneRow, forecasts: readonly ForecastView[], axis: AheadAxis, pxPerSession: number): Ahead {
  switch (row.state) {
    case "retained":
    case "expiring":
      return aheadOf(
        row.retention,
        forecasts.find(({ release }) => release === row.release)?.left ?? null,
        axis,
        pxPerSession,
      );
    case "current":
    case "ramping":
      return { kind: "open", half: halfOf(row.live ?? 0, pxPerSession) };
    default:
      return { kind: "nothing" };
  }
}

/** Oldest first. Those of before the picture are left out, and a start that is followed at once by what it was for. */
function marksOf(
  events: readonly StoryEvent[],
  lanes: readonly Lane[],
  xOf: (atMs: number) => number,
  firstMs: number,
): LaneMark[] {
  const laneOf = new Map<string, Lane>();
  for (const lane of lanes) for (const id of lane.release ? [lane.release] : lane.folded) laneOf.set(id, lane);
  return events.flatMap((event) => {
    const lane = laneOf.get(event.release);
    if (!lane || event.atMs < firstMs) return [];
    const from = event.from === undefined ? undefined : laneOf.get(event.from);
    const fromY = from && from !== lane ? from.middle : undefined;
    return [{ event, x: xOf(event.atMs), y: lane.middle, fromY, colour: lane.colour }];
  });
}

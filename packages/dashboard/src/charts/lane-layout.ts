import type { ForecastView, ServiceView, TimelineView } from "@holdover/control/api";
import { type Admission, admissionsOf } from "./admission.ts";
import { type AheadAxis, aheadAxis } from "./ahead-axis.ts";
import { type Ahead, aheadOf, reachAhead } from "./ahead.ts";
import { type Band, bandOf } from "./band.ts";
import { type LaneRow, laneRows, peakOf } from "./lane-rows.ts";
import { type StoryEvent, storyOf } from "./lane-story.ts";
import { flagTexts } from "./mark-flags.ts";
import { halfOf, type SessionScale, sessionScale } from "./session-scale.ts";
import { type ClockTick, clockTicks } from "./time-axis.ts";

/**
 * Where everything of the lanes is drawn, in px. Only times and counts go in: the same input gives the same picture.
 * What is past has its place as of `anchorMs`: as time goes on it is shifted as a whole, and drawn anew only when there
 * is something new. What is ahead has its place as of `nowMs`.
 */

export interface LanesInput {
  readonly timeline: TimelineView;
  readonly service: Pick<ServiceView, "releases" | "current">;
  readonly forecasts: readonly ForecastView[];
  readonly rangeMs: number;
  readonly nowMs: number;
  /** The moment for which all that is past is laid out: now, or some time before. */
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
  readonly ahead: AheadAxis;
  readonly scale: SessionScale;
  readonly lanes: readonly Lane[];
  /** In order of time. */
  readonly marks: readonly LaneMark[];
  readonly ticks: readonly (ClockTick & { readonly x: number })[];
}

export interface Lane extends LaneRow {
  readonly top: number;
  readonly height: number;
  /** Height that the band has, px: that of the lane but for the name above it where the picture is narrow. */
  readonly room: number;
  /** The line around which the band lies. */
  readonly middle: number;
  readonly band: Band;
  /** Where along x it took new sessions. */
  readonly admits: readonly { readonly fromX: number; readonly toX: number }[];
  readonly ahead: Ahead;
}

export interface LaneMark {
  readonly event: StoryEvent;
  readonly x: number;
  readonly y: number;
  /** Where the lane that hands over lies; undefined: nothing is handed over between lanes. */
  readonly fromY: number | undefined;
  readonly colour: string;
  /** In a lane that many releases share. */
  readonly small: boolean;
  /** The name above the picture; undefined: none, or no room for it. */
  readonly flag: string | undefined;
}

const NARROW_PX = 640;
/** For how long the last sample is taken to hold. After that the picture says that it has not heard. */
export const HOLDS_MS = 30_000;
const LABELS_PX = 184;
const NAME_PX = 20;
const TOP_PX = 28;
const FOOT_PX = 24;
const BUDGET_PX = 440;
const LEAST_LANE_PX = 16;
const LANE_PX = 44;
const TICK_PX = 84;
/** Half of a label of the clock, which is not to be cut. */
const TICK_EDGE_PX = 26;
/** Room right of now where nothing is foreseen. */
const COUNT_PX = 64;
/** Half of the flag at now. */
const NOW_FLAG_PX = 44;
/** A start so close before what it led to is not marked. */
const SAME_PX = 16;

export function laneLayout(input: LanesInput): LanesLayout {
  const { timeline, service, forecasts, rangeMs, anchorMs, nowMs } = input;
  const { releases } = service;
  const narrow = input.width < NARROW_PX;
  const right = Math.max(input.width, 200);
  const left = narrow ? 0 : LABELS_PX;

  const retained = releases.some(({ state }) => state === "retained" || state === "expiring");
  const nowX = retained ? left + Math.round((right - left) * (narrow ? 0.68 : 0.75)) : right - COUNT_PX;
  const pxPerMs = (nowX - left) / rangeMs;
  const xOf = (atMs: number) => nowX + (atMs - anchorMs) * pxPerMs;
  const retentions = releases.flatMap(({ retention }) => retention ?? []);
  const ahead = aheadAxis(right - nowX, pxPerMs, reachAhead(retentions, nowMs));
  const aheadX = (atMs: number) => nowX + ahead.pxOf(atMs - nowMs);

  const rows = laneRows(timeline, releases);
  const name = narrow ? NAME_PX : 0;
  const budget = BUDGET_PX - rows.length * name;
  const least = Math.max(LEAST_LANE_PX, Math.min(LANE_PX - name, budget / Math.max(1, rows.length)));
  // What is seen begins here: not at the anchor, which may lie behind.
  const firstMs = nowMs - rangeMs;
  const scale = sessionScale(
    rows.map((row) => peakOf(row, timeline, firstMs)),
    least,
    budget,
  );
  const samples = {
    x: Array.from({ length: timeline.moments }, (_, index) => xOf(timeline.fromMs + index * timeline.stepMs)),
    holdsUntilX: xOf(timeline.nowMs + HOLDS_MS),
    // The picture is laid out anew long before this comes into sight.
    endX: xOf(nowMs + rangeMs),
  };
  const half = (sessions: number) => halfOf(sessions, scale.pxPerSession);
  const story = storyOf(timeline.marks, releases);
  const admissions = admissionsOf(story, service.current);
  let top = TOP_PX;
  const lanes: Lane[] = [];
  for (const [index, row] of rows.entries()) {
    const room = scale.heights[index] ?? least;
    lanes.push({
      ...row,
      top,
      height: name + room,
      room,
      middle: top + name + room / 2,
      band: bandOf({ ...samples, sessions: row.sessions }, half),
      admits: (admissions.get(row.release ?? "") ?? []).map((when) => spanX(when, xOf, samples.endX)),
      ahead: aheadOfRow(row, forecasts, aheadX, scale.pxPerSession),
    });
    top += name + room;
  }

  const shownX = (x: number) => x - (nowMs - anchorMs) * pxPerMs;
  return {
    width: right,
    height: top + FOOT_PX,
    narrow,
    plot: { left, right, top: TOP_PX, bottom: top },
    nowX,
    pxPerMs,
    ahead,
    scale,
    lanes,
    marks: withFlags(marksOf(story, lanes, xOf, firstMs), shownX, left, nowX - NOW_FLAG_PX),
    ticks: clockTicks(firstMs, nowMs, TICK_PX / pxPerMs)
      .map(({ atMs, label }) => ({ atMs, label, x: xOf(atMs) }))
      .filter(({ x }) => shownX(x) > left + TICK_EDGE_PX && shownX(x) < nowX - TICK_EDGE_PX),
  };
}

function spanX({ fromMs, toMs }: Admission, xOf: (atMs: number) => number, endX: number) {
  return { fromX: Number.isFinite(fromMs) ? xOf(fromMs) : 0, toX: Number.isFinite(toMs) ? xOf(toMs) : endX };
}

function aheadOfRow(
  row: LaneRow,
  forecasts: readonly ForecastView[],
  xOf: (atMs: number) => number,
  pxPerSession: number,
): Ahead {
  switch (row.state) {
    case "retained":
    case "expiring":
      return aheadOf(
        row.retention,
        forecasts.find(({ release }) => release === row.release)?.left ?? null,
        xOf,
        pxPerSession,
      );
    case "current":
    case "ramping":
      return { kind: "open", half: halfOf(row.live ?? 0, pxPerSession) };
    default:
      return { kind: "nothing" };
  }
}

type Unflagged = Omit<LaneMark, "flag">;

function marksOf(
  events: readonly StoryEvent[],
  lanes: readonly Lane[],
  xOf: (atMs: number) => number,
  firstMs: number,
): Unflagged[] {
  const laneOf = new Map<string, Lane>();
  for (const lane of lanes)
    for (const id of lane.release === undefined ? lane.folded : [lane.release]) laneOf.set(id, lane);
  const ledTo = new Map<string, number>();
  for (const { kind, release, atMs } of events)
    if (kind === "cutover" || kind === "ramping") ledTo.set(release, xOf(atMs));
  return events.flatMap((event) => {
    const lane = laneOf.get(event.release);
    if (!lane || event.atMs < firstMs) return [];
    const x = xOf(event.atMs);
    const small = lane.release === undefined;
    if (event.kind === "starting" && (small || Math.abs((ledTo.get(event.release) ?? Infinity) - x) < SAME_PX))
      return [];
    const from = event.from === undefined ? undefined : laneOf.get(event.from);
    const fromY = from && from !== lane ? from.middle : undefined;
    return [{ event, x, y: lane.middle, fromY, colour: lane.colour, small }];
  });
}

function withFlags(
  marks: readonly Unflagged[],
  shownX: (x: number) => number,
  fromX: number,
  untilX: number,
): LaneMark[] {
  const flagged = marks.filter(({ event }) => event.kind === "cutover" || event.kind === "rollback");
  const texts = flagTexts(
    flagged.map(({ x, event }) => ({ x: shownX(x), text: event.release })),
    fromX,
    untilX,
  );
  const textOf = new Map(flagged.map((mark, index) => [mark, texts[index]]));
  return marks.map((mark) => Object.assign({ flag: textOf.get(mark) }, mark));
}

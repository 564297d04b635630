import type { ForecastView, ServiceView, TimelineView } from "@holdover/control/api";
import { counted, duration, expected, number } from "../words/figures.ts";
import { momentText } from "./clock-text.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";
import { eventText, storyOf } from "./lane-story.ts";

/** The lanes in numbers and sentences: at one moment, and as a whole. */

export interface Reading {
  readonly title: string;
  /** What happens at the moment, or so close to it that the picture shows them as one. */
  readonly events: readonly string[];
  readonly rows: readonly ReadingRow[];
}

interface ReadingRow {
  readonly release: string;
  readonly colour: string;
  readonly text: string;
}

export interface Told {
  readonly timeline: TimelineView;
  readonly forecasts: readonly ForecastView[];
  readonly layout: LanesLayout;
  readonly nowMs: number;
}

/** So close to a mark is on it. */
const ON_PX = 5;
const MOST_EVENTS = 3;
/** The table has them all; a summary of many sentences is none. */
const MOST_TOLD = 4;

/** What each lane's release had at a moment, or is expected to have left. A release without a session then is left out. */
export function readingAt(atMs: number, told: Told): Reading {
  const { nowMs, layout } = told;
  const past = atMs <= nowMs;
  const rows = layout.lanes.flatMap((lane) =>
    (lane.release === undefined ? lane.folded : [lane.release]).flatMap((release) => {
      const text = past ? pastText(release, atMs, told.timeline) : aheadText(lane, atMs, told.forecasts);
      return text === undefined ? [] : { release, colour: lane.colour, text };
    }),
  );
  return {
    title: past ? momentText(atMs, nowMs, true) : `${momentText(atMs, nowMs)}, in ${duration(atMs - nowMs)}`,
    events: past ? pastEvents(atMs, layout) : layout.lanes.flatMap((lane) => aheadEvents(lane, atMs, told)),
    rows,
  };
}

function pastText(release: string, atMs: number, { lanes, fromMs, stepMs, moments }: TimelineView): string | undefined {
  const sessions = lanes.find((lane) => lane.release === release)?.sessions;
  const index = Math.round((atMs - fromMs) / stepMs);
  if (!sessions || index < 0) return undefined;
  const count = sessions[Math.min(index, moments - 1)] ?? null;
  if (count === 0) return undefined;
  return count === null ? "not known" : number(count);
}

function aheadText({ release, ahead }: Lane, atMs: number, forecasts: readonly ForecastView[]): string | undefined {
  if (ahead.kind !== "fan" && ahead.kind !== "unknown") return undefined;
  const left = forecasts.find((forecast) => forecast.release === release)?.left;
  if (ahead.kind === "unknown") return "nobody can tell";
  if (!left) return undefined;
  const after = left.findIndex((point) => point.atMs >= atMs);
  const b = left[after];
  if (!b) return "0";
  const a = left[after - 1] ?? b;
  const share = b.atMs === a.atMs ? 1 : (atMs - a.atMs) / (b.atMs - a.atMs);
  const between = (side: "low" | "median" | "high") => Math.round(a[side] + share * (b[side] - a[side]));
  const [low, median, high] = [between("low"), between("median"), between("high")];
  return low === high ? `${median}` : `${median} (${low} to ${high})`;
}

function pastEvents(atMs: number, { marks, pxPerMs }: LanesLayout): string[] {
  const on = marks.filter(({ event }) => Math.abs(event.atMs - atMs) * pxPerMs <= ON_PX);
  return on.slice(-MOST_EVENTS).map(({ event }) => eventText(event));
}

function aheadEvents({ release, ahead, retention }: Lane, atMs: number, { layout, nowMs }: Told): string[] {
  if (ahead.kind !== "fan" && ahead.kind !== "unknown") return [];
  const { pxOf } = layout.ahead;
  const on = (ms: number) => Math.abs(pxOf(ms - nowMs) - pxOf(atMs - nowMs)) <= ON_PX;
  const ends = ahead.ends
    .filter((end) => on(end.atMs))
    .map(({ kind, atMs }) => {
      const cut = kind === "deadline" ? (retention?.wouldCut ?? 0) : 0;
      const cuts = cut > 0 ? `, would cut ${expected(cut)}` : "";
      return `${kind === "deadline" ? "Deadline" : "Hard stop"} of ${release}: ${momentText(atMs, nowMs)}${cuts}`;
    });
  if (ahead.kind === "unknown" || !on(ahead.retires.medianMs)) return ends;
  return [`${release} is expected to have retired: ${momentText(ahead.retires.medianMs, nowMs)}`, ...ends];
}

/** The whole picture in a few sentences, for whoever cannot see it. */
export function summaryText(service: ServiceView, timeline: TimelineView, rangeMs: number): string {
  const { nowMs } = timeline;
  const sentences = [`Live sessions of ${service.name} by release over the last ${duration(rangeMs)}.`];
  let leaving = 0;
  for (const { id, state, sessions, retention, percent } of service.releases.toReversed()) {
    const live = sessions
      ? counted(sessions.open + sessions.lingering, "live session")
      : "an unknown number of live sessions";
    if (state === "current") sentences.push(`${id} is current with ${live}.`);
    else if (state === "ramping") sentences.push(`${id} is ramping at ${percent}% with ${live}.`);
    else if (state === "retained" || state === "expiring") {
      leaving += 1;
      if (leaving > MOST_TOLD) continue;
      sentences.push(`${id} is ${state} with ${live}, ${endText(retention, nowMs)}.`);
    }
  }
  if (leaving > MOST_TOLD) sentences.push(`${counted(leaving - MOST_TOLD, "more release")} finish their sessions.`);
  const events = storyOf(timeline.marks, service.releases).filter(({ atMs }) => atMs >= nowMs - rangeMs);
  const many = (kind: string, word: string) => {
    const count = events.filter((event) => event.kind === kind).length;
    return count === 0 ? [] : counted(count, word);
  };
  const told = [many("cutover", "cutover"), many("rollback", "rollback"), many("failed", "failed release")].flat();
  sentences.push(told.length === 0 ? "No release came or went." : `In this time: ${told.join(", ")}.`);
  return sentences.join(" ");
}

function endText(retention: ServiceView["releases"][number]["retention"], nowMs: number): string {
  const retires = retention?.retires;
  if (!retires) return "and nobody can tell when it will have retired";
  const [low, median, high] = [retires.lowMs, retires.medianMs, retires.highMs].map((ms) => momentText(ms, nowMs));
  return `expected to have retired at ${median}, in 8 of 10 cases between ${low} and ${high}`;
}

import type { ForecastView, ServiceView, TimelineView } from "@holdover/control/api";
import { momentText, spanText } from "./clock-text.ts";
import type { LanesLayout } from "./lane-layout.ts";
import { storyOf } from "./lane-story.ts";

/** The lanes in numbers and sentences: at one moment, and as a whole. */

export interface Reading {
  readonly atMs: number;
  readonly title: string;
  readonly rows: readonly ReadingRow[];
}

interface ReadingRow {
  readonly release: string;
  readonly colour: number;
  readonly text: string;
  /** For the order; null: not known. */
  readonly sessions: number | null;
}

export interface Told {
  readonly timeline: TimelineView;
  readonly forecasts: readonly ForecastView[];
  readonly layout: LanesLayout;
  readonly nowMs: number;
}

/** What each lane's release had at a moment, or is expected to have left. A release without a session then is left out. */
export function readingAt(atMs: number, told: Told): Reading {
  const { nowMs, layout } = told;
  const title =
    atMs <= nowMs ? momentText(atMs, nowMs, true) : `${momentText(atMs, nowMs)}, in ${spanText(atMs - nowMs)}`;
  const rows = layout.lanes.flatMap(({ release, folded, colour }) =>
    (release === undefined ? folded : [release]).flatMap((id) => {
      const said = atMs <= nowMs ? pastOf(id, atMs, told.timeline) : aheadOf(id, atMs, told.forecasts);
      return said ? { release: id, colour, text: said.text, sessions: said.sessions } : [];
    }),
  );
  return { atMs, title, rows };
}

type Said = Pick<ReadingRow, "text" | "sessions">;

function pastOf(release: string, atMs: number, { lanes, fromMs, stepMs, moments }: TimelineView): Said | undefined {
  const sessions = lanes.find((lane) => lane.release === release)?.sessions;
  const index = Math.round((atMs - fromMs) / stepMs);
  if (!sessions || index < 0) return undefined;
  const count = sessions[Math.min(index, moments - 1)] ?? null;
  if (count === 0) return undefined;
  return { sessions: count, text: count === null ? "not known" : String(count) };
}

function aheadOf(release: string, atMs: number, forecasts: readonly ForecastView[]): Said | undefined {
  const left = forecasts.find((forecast) => forecast.release === release)?.left;
  if (!left) return undefined;
  const after = left.findIndex((point) => point.atMs >= atMs);
  const [a, b] = [left[after - 1] ?? left[after], left[after]];
  if (!a || !b) return undefined;
  const share = b.atMs === a.atMs ? 0 : (atMs - a.atMs) / (b.atMs - a.atMs);
  const between = (from: number, to: number) => Math.round(from + share * (to - from));
  const low = between(a.low, b.low);
  const high = between(a.high, b.high);
  const median = between(a.median, b.median);
  return high === 0
    ? undefined
    : { sessions: median, text: low === high ? `${median}` : `${median} (${low} to ${high})` };
}

/** The whole picture in a few sentences, for whoever cannot see it. */
export function summaryText(service: ServiceView, timeline: TimelineView, rangeMs: number, nowMs: number): string {
  const sentences = [`Live sessions of ${service.name} by release over the last ${spanText(rangeMs)}.`];
  for (const { id, state, sessions, retention, percent } of service.releases.toReversed()) {
    const live = sessions
      ? `${sessions.open + sessions.lingering} live sessions`
      : "an unknown number of live sessions";
    if (state === "current") sentences.push(`${id} is current with ${live}.`);
    else if (state === "ramping") sentences.push(`${id} is ramping at ${percent}% with ${live}.`);
    else if (state === "expiring") sentences.push(`${id} is expiring with ${live}.`);
    else if (state === "retained") {
      const retires = retention?.retires;
      const end = retires
        ? `expected to retire at ${momentText(retires.medianMs, nowMs)}, between ${momentText(retires.lowMs, nowMs)} and ${momentText(retires.highMs, nowMs)} with 80% confidence`
        : "and nobody can tell when it will retire";
      sentences.push(`${id} is retained with ${live}, ${end}.`);
    }
  }
  const events = storyOf(timeline.marks, service.releases);
  const many = (kind: string, word: string) => {
    const count = events.filter((event) => event.kind === kind && event.atMs >= nowMs - rangeMs).length;
    return count === 0 ? [] : `${count} ${word}${count === 1 ? "" : "s"}`;
  };
  const told = [many("cutover", "cutover"), many("rollback", "rollback"), many("failed", "failed release")].flat();
  sentences.push(told.length === 0 ? "No release came or went." : `In this time: ${told.join(", ")}.`);
  return sentences.join(" ");
}

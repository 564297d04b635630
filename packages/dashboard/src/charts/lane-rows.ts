import type { ReleaseView, ServiceView, TimelineView } from "@holdover/control/api";
import { laneClass } from "../parts/lane.ts";

/** More lanes than this, and those of releases that are gone share one. */
const MOST_LANES = 8;

/** What a lane shows, before anything has a place. */
export interface LaneRow {
  /** The release's id; of the one in which those that are gone are folded: undefined. */
  readonly release: string | undefined;
  readonly folded: readonly string[];
  /** The class that gives it its colour. */
  readonly colour: string;
  readonly state: ReleaseView["state"];
  readonly percent: number;
  readonly live: number | null;
  readonly retention: ReleaseView["retention"];
  readonly sessions: readonly (number | null)[];
}

const GONE = new Set<ReleaseView["state"]>(["retired", "failed"]);

/** Newest first; where there are many, those that are gone and older than the current release are one row at the end. */
export function laneRows(timeline: TimelineView, releases: ServiceView["releases"]): LaneRow[] {
  const order = new Map(releases.map(({ id }, index) => [id, index]));
  const known = new Map(releases.map((release) => [release.id, release]));
  const samples = new Map(timeline.lanes.map(({ release, sessions }) => [release, sessions]));
  const marked = new Set(timeline.marks.map(({ release }) => release));
  const others = releases.filter(({ id, state }) => !samples.has(id) && (!GONE.has(state) || marked.has(id)));
  // Of a release that is not told of nobody had a session.
  const none = Array<number>(timeline.moments).fill(0);
  const ids = [...samples.keys(), ...others.map(({ id }) => id)].sort(
    (a, b) => (order.get(b) ?? -1) - (order.get(a) ?? -1),
  );
  const rows = ids.map((id): LaneRow => {
    const release = known.get(id);
    const state = release?.state ?? "retired";
    return {
      release: id,
      folded: [],
      colour: laneClass(releases, id),
      state,
      percent: release?.percent ?? 0,
      live: GONE.has(state) ? 0 : liveOf(release),
      retention: release?.retention ?? null,
      sessions: sinceItWas(samples.get(id) ?? none, release?.createdAtMs ?? 0, timeline),
    };
  });
  if (rows.length <= MOST_LANES) return rows;
  const current = rows.findIndex(({ state }) => state === "current");
  const folds = (row: LaneRow, index: number) => GONE.has(row.state) && index > current;
  const gone = rows.filter(folds);
  return gone.length < 2
    ? rows
    : [...rows.filter((row, index) => !folds(row, index)), foldedRow(gone, timeline.moments)];
}

/** Before a release was made it had no session, whether anybody counted then or not. */
function sinceItWas(
  sessions: readonly (number | null)[],
  createdAtMs: number,
  { fromMs, stepMs }: TimelineView,
): readonly (number | null)[] {
  const counted = sessions.findIndex((count) => count !== null);
  // Of one that was deployed again it is the last time that is known: what was counted before tells that there was another.
  const before = Math.min(counted < 0 ? Infinity : counted, Math.ceil((createdAtMs - fromMs) / stepMs));
  return before > 0 ? sessions.map((count, index) => (index < before ? 0 : count)) : sessions;
}

function liveOf(release: ReleaseView | undefined): number | null {
  const sessions = release?.sessions;
  return sessions ? sessions.open + sessions.lingering : null;
}

function foldedRow(rows: readonly LaneRow[], moments: number): LaneRow {
  const sessions = Array.from({ length: moments }, (_, index) =>
    rows.reduce<number | null>((sum, row) => {
      const count = row.sessions[index] ?? null;
      return sum === null || count === null ? null : sum + count;
    }, 0),
  );
  const folded = rows.flatMap(({ release }) => release ?? []).reverse();
  return {
    release: undefined,
    folded,
    colour: "lane-0",
    state: "retired",
    percent: 0,
    live: 0,
    retention: null,
    sessions,
  };
}

/** The most sessions that are seen of it. */
export function peakOf({ sessions, live }: LaneRow, { fromMs, stepMs }: TimelineView, firstMs: number): number {
  const from = Math.max(0, Math.floor((firstMs - fromMs) / stepMs));
  let peak = live ?? 0;
  for (let index = from; index < sessions.length; index++) peak = Math.max(peak, sessions[index] ?? 0);
  return peak;
}

import type { ForecastView, ReleaseView, ServiceView, TimelineView } from "@holdover/control/api";
import { releaseView, retentionView } from "../src/charts/release-fixture.ts";

/** A service that is made up, and what the API would tell of it. All times are ms from when it was made; the past is negative. */

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
const MOMENTS = 300;

export interface MadeRelease {
  readonly id: string;
  readonly state: ReleaseView["state"];
  readonly sessions: (at: number) => number;
  /** When it last became current. */
  readonly currentAt?: number;
  readonly percent?: number;
  readonly wedged?: number;
  /** How fast half of what is left ends; left out: nobody can tell. */
  readonly halfLife?: number;
  readonly deadline?: number;
  readonly hardStop?: number;
  readonly wouldCut?: number;
}

export interface MadeMark {
  readonly at: number;
  readonly kind: TimelineView["marks"][number]["kind"];
  readonly release: string;
  readonly reason?: string;
}

export interface MadeService {
  readonly service: ServiceView;
  readonly timeline: (nowMs: number, rangeMs: number) => TimelineView;
  readonly forecasts: readonly ForecastView[];
}

/**
 * @param unknown times between which nobody could count
 * @param madeAtMs epoch ms
 */
export function madeService(
  releases: readonly MadeRelease[],
  marks: readonly MadeMark[],
  unknown: readonly (readonly [from: number, to: number])[],
  madeAtMs: number,
): MadeService {
  const isKnown = (at: number) => !unknown.some(([from, to]) => at >= from && at <= to);
  const views = releases.map((made) => viewOf(made, isKnown(0), madeAtMs));
  return {
    service: {
      name: "rooms",
      hosts: [],
      path: "/",
      current: releases.find(({ state }) => state === "current")?.id ?? null,
      sessions: null,
      releases: views,
    },
    timeline: (nowMs, rangeMs) => {
      const stepMs = rangeMs / (MOMENTS - 1);
      const fromMs = nowMs - rangeMs;
      const times = Array.from({ length: MOMENTS }, (_, index) => fromMs + index * stepMs - madeAtMs);
      const lanes = releases.map(({ id, sessions }) => ({
        release: id,
        sessions: times.map((at) => (isKnown(at) ? sessions(at) : null)),
      }));
      return {
        service: "rooms",
        nowMs,
        fromMs,
        stepMs,
        moments: MOMENTS,
        lanes: lanes.filter(({ sessions }) => sessions.some((count) => count !== 0)),
        marks: marks.map(({ at, kind, release, reason = "deploy" }, seq) => ({
          atMs: madeAtMs + at,
          seq,
          kind,
          release,
          actor: "api:ci",
          reason,
        })),
      };
    },
    forecasts: views.flatMap((view, index) => forecastOf(view, releases[index]?.halfLife, madeAtMs)),
  };
}

function viewOf(made: MadeRelease, known: boolean, madeAtMs: number): ReleaseView {
  const { id, state, currentAt, percent = 0, wedged = 0 } = made;
  const open = made.sessions(0);
  return releaseView({
    id,
    state,
    currentAtMs: currentAt === undefined ? 0 : madeAtMs + currentAt,
    percent,
    sessions: known ? { open, lingering: 0, connections: open, wedged } : null,
    retention: state === "retained" || state === "expiring" ? retentionOf(made, open, madeAtMs) : null,
  });
}

function retentionOf(made: MadeRelease, open: number, madeAtMs: number) {
  const { state, deadline, hardStop, wouldCut = 0, halfLife } = made;
  // The last of so many has ended when all of them have.
  const goneBy = (share: number, half: number) => madeAtMs - half * Math.log2(1 - share ** (1 / Math.max(1, open)));
  return retentionView({
    rule: state === "expiring" ? "grace" : "budget",
    deadlineMs: deadline === undefined ? null : madeAtMs + deadline,
    hardStopMs: hardStop === undefined ? null : madeAtMs + hardStop,
    wouldCut,
    retires: halfLife
      ? { lowMs: goneBy(0.1, halfLife), medianMs: goneBy(0.5, halfLife), highMs: goneBy(0.9, halfLife), known: true }
      : null,
  });
}

function forecastOf(view: ReleaseView, halfLife: number | undefined, madeAtMs: number): ForecastView[] {
  const { id, state, retention, sessions } = view;
  if (!retention) return [];
  const open = sessions?.open ?? 0;
  const endMs = (retention.retires?.highMs ?? madeAtMs) - madeAtMs;
  const left = Array.from({ length: 41 }, (_, index) => {
    const after = 1.1 * endMs * (index / 40) ** 2;
    const share = 2 ** (-after / (halfLife ?? 1));
    const median = open * share;
    const spread = 1.28 * Math.sqrt(open * share * (1 - share));
    return { atMs: madeAtMs + after, low: Math.max(0, median - spread), median, high: median + spread };
  });
  return [
    {
      service: "rooms",
      release: id,
      state,
      nowMs: madeAtMs,
      sessions: open,
      lengths: { known: true, ends: 812, why: "", medianMs: null, p95Ms: null },
      trials: 20,
      retention,
      retires: retention.retires,
      left: halfLife ? left : null,
    },
  ];
}

import type { LengthsDetailView } from "@holdover/control/api";
import { duration } from "../words/figures.ts";

/** How long sessions last, as curves over one axis of time: its logarithm, for lengths go from seconds to days. */

export interface LengthCurves {
  /** log10 of ms, growing; every curve has a value at each, null where nothing so long was ever seen. */
  readonly x: readonly number[];
  /** Share of all sessions that last longer. */
  readonly all: readonly (number | null)[];
  readonly residual: readonly ResidualCurve[];
}

interface ResidualCurve {
  readonly release: string;
  /** Share of its live sessions that last this much longer. */
  readonly shares: readonly (number | null)[];
}

const POINTS = 180;
const LEAST_MS = 1000;
/** The axis begins where hardly any session has ended. */
const HARDLY_ANY_ENDED = 0.99;
/** More curves than this cannot be told apart; the others have their row in the table. */
const MOST_CURVES = 6;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TICKS_MS = [
  ...[1, 5, 15].map((many) => many * SECOND_MS),
  ...[1, 5, 15].map((many) => many * MINUTE_MS),
  ...[1, 4, 12].map((many) => many * HOUR_MS),
  ...[1, 3, 7, 30, 90, 365].map((many) => many * DAY_MS),
];

interface Point {
  readonly ms: number;
  readonly share: number;
}

/** undefined: nothing is known that could be drawn. */
export function lengthCurves({ curve, residual }: LengthsDetailView): LengthCurves | undefined {
  const all = curve.map(({ ageMs, share }) => ({ ms: ageMs, share }));
  const largest = residual.filter(({ curve }) => curve.length > 0).toSorted((a, b) => b.sessions - a.sessions);
  const kept = new Set(largest.slice(0, MOST_CURVES).map(({ release }) => release));
  const lives = residual
    .filter(({ release }) => kept.has(release))
    .map(({ release, curve }) => ({ release, points: curve.map(({ afterMs, share }) => ({ ms: afterMs, share })) }));
  const curves = [all, ...lives.map(({ points }) => points)];
  const most = Math.max(0, ...curves.map((points) => points.at(-1)?.ms ?? 0));
  if (!Number.isFinite(most) || most <= LEAST_MS) return undefined;
  const begins = curves.flatMap((points) => points.find(({ share }) => share < HARDLY_ANY_ENDED)?.ms ?? []);
  const least = Math.max(LEAST_MS, Math.min(most / 10, ...begins) / 2);
  const [from, to] = [Math.log10(least), Math.log10(most)];
  const x = Array.from({ length: POINTS }, (_, index) => from + ((to - from) * index) / (POINTS - 1));
  return {
    x,
    all: x.map((at) => shareAt(all, 10 ** at)),
    residual: lives.map(({ release, points }) => ({ release, shares: x.map((at) => shareAt(points, 10 ** at)) })),
  };
}

/** Between two points a straight line; beyond the last one nothing is known, unless nothing is left there. */
function shareAt(points: readonly Point[], ms: number): number | null {
  const after = points.findIndex((point) => point.ms >= ms);
  const last = points.at(-1);
  if (!last) return null;
  // The last point of the axis is that of a curve, but for the rounding of its logarithm.
  if (after < 0) return last.share === 0 || ms <= last.ms * (1 + 1e-9) ? last.share : null;
  const b = points[after]!;
  const a = points[after - 1] ?? { ms: 0, share: 1 };
  const along = b.ms === a.ms ? 1 : (ms - a.ms) / (b.ms - a.ms);
  return a.share * (1 - along) + b.share * along;
}

/** Round durations within an axis of log10 of ms, and so far apart on it. */
export function durationTicks(from: number, to: number, least: number): { at: number; label: string }[] {
  const ticks: { at: number; label: string }[] = [];
  for (const ms of TICKS_MS) {
    const at = Math.log10(ms);
    if (at >= from && at <= to && at - (ticks.at(-1)?.at ?? -Infinity) >= least)
      ticks.push({ at, label: duration(ms) });
  }
  return ticks;
}

/** Those that are known. */
export function quantilesOf({ p50Ms, p95Ms, p99Ms }: LengthsDetailView): { name: string; ms: number }[] {
  const all = [
    { name: "P50", ms: p50Ms },
    { name: "P95", ms: p95Ms },
    { name: "P99", ms: p99Ms },
  ];
  return all.flatMap(({ name, ms }) => (ms === null || ms <= 0 ? [] : { name, ms }));
}

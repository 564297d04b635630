import type { ForecastView, ReleaseView } from "@holdover/control/api";
import { outlinePath } from "./band.ts";
import { halfOf } from "./session-scale.ts";

type Retention = ReleaseView["retention"];

/** A forecast of so few sessions is drawn as none: it is a number, not a picture. */
const HARDLY_ANY = 0.05;

/** What is drawn ahead of now in a lane: nothing that nobody claims. */
export type Ahead =
  | { readonly kind: "nothing" }
  /** It takes new sessions: it goes on, and nobody says how thick. */
  | { readonly kind: "open"; readonly half: number }
  /** It will retire, and nobody can tell when. */
  | { readonly kind: "unknown"; readonly ends: readonly End[] }
  | {
      readonly kind: "fan";
      readonly points: readonly FanPoint[];
      readonly retires: Retires;
      readonly ends: readonly End[];
    };

export interface FanPoint {
  readonly x: number;
  /** Half the thickness, px: of the fewest, the median and the most sessions of the 80% interval. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

interface Retires {
  readonly lowX: number;
  readonly medianX: number;
  readonly highX: number;
  readonly medianMs: number;
}

/** A moment that ends what is left. */
interface End {
  readonly kind: "deadline" | "hard-stop";
  readonly atMs: number;
  readonly x: number;
}

/** How far ahead the last thing lies that these tell of. */
export function reachAhead(retentions: readonly NonNullable<Retention>[], nowMs: number): number {
  const moments = retentions.flatMap(({ retires, deadlineMs, hardStopMs }) => [
    retires?.highMs ?? nowMs,
    deadlineMs ?? nowMs,
    hardStopMs ?? nowMs,
  ]);
  return Math.max(0, ...moments.map((atMs) => atMs - nowMs));
}

/** Of a release that takes no new sessions. */
export function aheadOf(
  retention: Retention,
  left: ForecastView["left"],
  xOf: (atMs: number) => number,
  pxPerSession: number,
): Ahead {
  if (!retention) return { kind: "unknown", ends: [] };
  const { deadlineMs, hardStopMs, retires } = retention;
  const ends: End[] = [];
  if (deadlineMs !== null && deadlineMs !== hardStopMs) {
    ends.push({ kind: "deadline", atMs: deadlineMs, x: xOf(deadlineMs) });
  }
  if (hardStopMs !== null) ends.push({ kind: "hard-stop", atMs: hardStopMs, x: xOf(hardStopMs) });
  if (!retires) return { kind: "unknown", ends };
  const half = (sessions: number) => halfOf(sessions < HARDLY_ANY ? 0 : sessions, pxPerSession);
  return {
    kind: "fan",
    points: (left ?? []).map(({ atMs, low, median, high }) => ({
      x: xOf(atMs),
      low: half(low),
      median: half(median),
      high: half(high),
    })),
    retires: {
      lowX: xOf(retires.lowMs),
      medianX: xOf(retires.medianMs),
      highX: xOf(retires.highMs),
      medianMs: retires.medianMs,
    },
    ends,
  };
}

/** The outline of one side of the fan as an SVG path around y = 0. */
export function fanPath(points: readonly FanPoint[], side: "low" | "median" | "high"): string {
  return outlinePath({ x: points.map(({ x }) => x), half: points.map((point) => point[side]) });
}

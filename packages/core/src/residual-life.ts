import { expectedLeft, openSessions, type LiveGroup } from "./forecast.ts";
import { residualHazard } from "./survival.ts";

/** How much longer open sessions last, given how old they are; ms, null where nobody knows. */
export interface ResidualLife {
  readonly sessions: number;
  /** False: the late quantiles rest on lengths that were never seen. */
  readonly known: boolean;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** The share that lasts this much longer, from now on; it never rises. */
  readonly curve: readonly { readonly afterMs: number; readonly share: number }[];
}

/** Past this, ms, nobody plans: ten years. */
const HORIZON_MS = 3650 * 86_400_000;
/** Bisection ends where it knows the answer to a thousandth of itself, or to a millisecond. */
const EXACT = 1.001;

/**
 * The residual life of one of the open sessions, whichever: a mixture over their ages, each with the lengths of its label.
 * @param points of the curve, at the most; at least 2
 */
export function residualLife(groups: readonly LiveGroup[], points: number): ResidualLife {
  const sessions = openSessions(groups);
  if (sessions === 0) return { sessions, known: true, p50Ms: null, p95Ms: null, p99Ms: null, curve: [] };
  const share = (afterMs: number): number => expectedLeft(groups, afterMs) / sessions;
  const [p50Ms = null, p95Ms = null, p99Ms = null] = [0.5, 0.95, 0.99].map((ended) => timeOf(share, 1 - ended));
  const known = p99Ms !== null && groups.every((group) => isKnown(group, p99Ms));
  const endMs = p99Ms ?? lastSeenMs(groups);
  const curve = Array.from({ length: points }, (_, index) => {
    // It falls fastest where it begins.
    const afterMs = endMs * (index / (points - 1)) ** 2;
    return { afterMs, share: share(afterMs) };
  });
  return { sessions, known, p50Ms, p95Ms, p99Ms, curve };
}

/** When the share has fallen to `target`, ms; null where it does not within the horizon. */
function timeOf(share: (afterMs: number) => number, target: number): number | null {
  let low = 0;
  let high = 1000;
  while (share(high) > target) {
    if (high >= HORIZON_MS) return null;
    low = high;
    high *= 4;
  }
  while (high - low > 1 && high > low * EXACT) {
    const middle = low === 0 ? high / 2 : Math.sqrt(low * high);
    if (share(middle) > target) low = middle;
    else high = middle;
  }
  return high;
}

/** The oldest goes furthest past what was seen. */
function isKnown({ live, lengths }: LiveGroup, afterMs: number): boolean {
  const oldest = live.ageMs.at(-1);
  return oldest === undefined || residualHazard(lengths, oldest, afterMs).known;
}

/** After this nothing that was seen can happen any more. */
function lastSeenMs(groups: readonly LiveGroup[]): number {
  return groups.reduce((last, { live, lengths }) => Math.max(last, lengths.lastAge - (live.ageMs[0] ?? 0)), 0);
}

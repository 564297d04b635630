import type { TimelineView } from "@holdover/control/api";

/** However young a service is, this much of the past is shown, ms: a band of a few seconds would tell nothing. */
const LEAST_MS = 120_000;
/** The picture is laid out anew with each step, so there are few. */
const STEP = 1.25;

/**
 * How far back the picture goes, ms: the range that was chosen, or as far as anything is known. What was before the first
 * sample is no gap: nobody was there to count. Later, where somebody should have counted, it is one.
 */
export function reachOf({ lanes, fromMs, stepMs, moments }: TimelineView, nowMs: number, rangeMs: number): number {
  const known = lanes.map(({ sessions }) => sessions.findIndex((count) => count !== null)).filter((at) => at >= 0);
  const first = Math.min(...known);
  if (first === 0 || first >= moments) return rangeMs;
  const knownMs = nowMs - (fromMs + (first - 1) * stepMs);
  const steps = Math.ceil(Math.log(Math.max(1, knownMs / LEAST_MS)) / Math.log(STEP));
  return Math.min(rangeMs, LEAST_MS * STEP ** steps);
}

import { type LengthsWindow, type SessionLengths, type SessionSpans, countUpTo, sessionLengths } from "@holdover/core";
import { ascending, type Trace } from "./trace.ts";

/**
 * What a service knows at a moment of virtual time: which sessions are live, and how long those lasted that have ended.
 * Time only moves on; nothing of a session's end is told before it has come.
 */
export interface History {
  moveTo(nowMs: number): void;
  /** Rows of the sessions that are live now and began at or after a moment, in order of their start. */
  liveSince(fromMs: number): Uint32Array;
  lengths(): SessionLengths;
}

/** How many more ends make a new estimate worth its time, as a share of those in it. */
const REFRESH_SHARE = 0.1;
const REFRESH_ENDS = 10;

export function historyOf(trace: Trace, endMs: Float64Array, window: LengthsWindow): History {
  const byEnd = ascending(endMs);
  const endsSorted = endMs.toSorted();
  let nowMs = -1;
  let live = new Uint32Array(0);
  let begun = 0;
  let estimated: { readonly lengths: SessionLengths; readonly ends: number; readonly atMs: number } | undefined;

  const spans = (over: number): SessionSpans => {
    const first = countUpTo(endsSorted, nowMs - window.lookbackMs);
    const from = Math.max(first, over - window.mostEnds - 1);
    const known = over - from;
    const openedAtMs = new Float64Array(known + live.length);
    const endedAtMs = new Float64Array(known + live.length).fill(Number.NaN);
    for (let index = 0; index < known; index++) {
      const row = byEnd[from + index] ?? 0;
      openedAtMs[index] = trace.startMs[row] ?? 0;
      endedAtMs[index] = endMs[row] ?? 0;
    }
    for (let index = 0; index < live.length; index++) openedAtMs[known + index] = trace.startMs[live[index] ?? 0] ?? 0;
    return { openedAtMs, endedAtMs };
  };

  return {
    moveTo(toMs) {
      nowMs = toMs;
      // A session that begins at the very moment of a cutover begins on the new release.
      const upTo = countUpTo(trace.startMs, nowMs - 1);
      const candidates = new Uint32Array(live.length + upTo - begun);
      let count = 0;
      const take = (row: number) => {
        if ((endMs[row] ?? 0) > nowMs) candidates[count++] = row;
      };
      for (const row of live) take(row);
      for (let row = begun; row < upTo; row++) take(row);
      begun = upTo;
      live = candidates.subarray(0, count);
    },
    liveSince(fromMs) {
      let low = 0;
      let high = live.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((trace.startMs[live[middle] ?? 0] ?? 0) < fromMs) low = middle + 1;
        else high = middle;
      }
      return live.subarray(low);
    },
    lengths() {
      const over = countUpTo(endsSorted, nowMs);
      const grown = over - (estimated?.ends ?? 0);
      const known = Math.min(over, window.mostEnds);
      const stale = estimated !== undefined && nowMs - estimated.atMs > window.lookbackMs / 28;
      if (estimated && grown < Math.max(REFRESH_ENDS, known * REFRESH_SHARE) && !stale) return estimated.lengths;
      estimated = { lengths: sessionLengths(spans(over), nowMs, window), ends: over, atMs: nowMs };
      return estimated.lengths;
    },
  };
}

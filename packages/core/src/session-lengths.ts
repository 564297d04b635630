import { kaplanMeier, type Survival } from "./survival.ts";

/**
 * Sessions as lengths are estimated from them, in columns: when each began, and when it ended (NaN: still open). Epoch ms.
 * One that was ended on purpose or by a crash would have lasted longer: it is `forced` (1), and right-censored there.
 */
export interface SessionSpans {
  readonly openedAtMs: Float64Array;
  readonly endedAtMs: Float64Array;
  /** None is where it is left out. */
  readonly forced?: Uint8Array;
}

/** How much of the past an estimate uses. */
export interface LengthsWindow {
  /** How far back it looks, ms. */
  readonly lookbackMs: number;
  /** At most this many ends, the newest; so a busy service forgets sooner. */
  readonly mostEnds: number;
  /** Fewer ends than this and there is no estimate. */
  readonly leastEnds: number;
}

export const LENGTHS_WINDOW: LengthsWindow = { lookbackMs: 7 * 86_400_000, mostEnds: 5000, leastEnds: 30 };

/** The lengths of a service's sessions, or of those with one label, and where they come from. */
export type SessionLengths =
  | { readonly kind: "estimated"; readonly lengths: Survival; readonly from: "label" | "service"; readonly why: string }
  /** Too few ends: nobody can say how long sessions last. Policies then keep to their ceiling or until empty. */
  | { readonly kind: "unknown"; readonly ends: number; readonly why: string };

/**
 * Estimates lengths from what a window of time saw: every session that lived in it counts from the age it entered with, so
 * that lengths follow drift at once and long ones are not left out for having begun before.
 */
export function sessionLengths(
  spans: SessionSpans,
  nowMs: number,
  window: LengthsWindow = LENGTHS_WINDOW,
): SessionLengths {
  const sinceMs = windowStart(spans, nowMs, window);
  const rows = spans.openedAtMs.length;
  const entry = new Float64Array(rows);
  const exit = new Float64Array(rows);
  const ended = new Uint8Array(rows);
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    const opened = spans.openedAtMs[row] ?? Number.NaN;
    const end = spans.endedAtMs[row] ?? Number.NaN;
    const over = end <= nowMs;
    if (opened > nowMs || (over && end <= sinceMs)) continue;
    entry[kept] = Math.max(0, sinceMs - opened);
    exit[kept] = (over ? end : nowMs) - opened;
    ended[kept] = over && spans.forced?.[row] !== 1 ? 1 : 0;
    kept++;
  }
  const lengths = kaplanMeier({
    entry: entry.subarray(0, kept),
    exit: exit.subarray(0, kept),
    ended: ended.subarray(0, kept),
  });
  if (lengths.ends < window.leastEnds) {
    const why = `${lengths.ends} ended sessions are too few to tell how long they last (${window.leastEnds} are needed)`;
    return { kind: "unknown", ends: lengths.ends, why };
  }
  const open = lengths.sessions - lengths.ends;
  return { kind: "estimated", lengths, from: "service", why: `${lengths.ends} ended and ${open} open sessions` };
}

/** As {@link sessionLengths} for those of one label; falls back on the whole service where the label has too few. */
export function labelledLengths(
  ofLabel: SessionSpans,
  ofService: SessionSpans,
  nowMs: number,
  window: LengthsWindow = LENGTHS_WINDOW,
): SessionLengths {
  const own = sessionLengths(ofLabel, nowMs, window);
  if (own.kind === "estimated") return { ...own, from: "label" };
  const all = sessionLengths(ofService, nowMs, window);
  if (all.kind === "unknown") return all;
  return { ...all, why: `${all.why} of the whole service, because of this label ${own.why}` };
}

function windowStart(spans: SessionSpans, nowMs: number, window: LengthsWindow): number {
  const sinceMs = nowMs - window.lookbackMs;
  const ends = spans.endedAtMs.filter((end) => end <= nowMs && end >= sinceMs);
  if (ends.length <= window.mostEnds) return sinceMs;
  // The window opens just after the end before them.
  return ends.sort()[ends.length - window.mostEnds - 1] ?? sinceMs;
}

/** What the page reads of this machine's clocks. */
export interface LocalClock {
  /** Never set back or forward; ms from whenever. */
  readonly passedMs: () => number;
  /** Epoch ms by this machine, which may be wrong. */
  readonly wallMs: () => number;
}

/** From this difference on people are told that the clocks differ, ms. */
export const SKEW_TOLD_MS = 5000;
/** How many of the last messages the difference is taken from. */
const SAMPLES = 5;

export interface ServerClock {
  /** The server said its time just now. */
  hear(nowMs: number): void;
  /** Epoch ms by the server; before it was heard, by this machine. */
  now(): number;
  /** How far this machine is ahead of the server, ms; negative: behind. */
  skewMs(): number;
}

/**
 * The server's time, carried on by the local time that has passed: ages and deadlines are right however wrong the local
 * clock is.
 */
export function createServerClock(local: LocalClock): ServerClock {
  let heardMs: number | null = null;
  let heardAt = 0;
  let samples: number[] = [];
  return {
    hear(nowMs) {
      heardMs = nowMs;
      heardAt = local.passedMs();
      samples = [...samples, local.wallMs() - nowMs].slice(-SAMPLES);
    },
    now: () => (heardMs === null ? local.wallMs() : heardMs + (local.passedMs() - heardAt)),
    // A message on its way adds to the difference and never takes from it: the least is nearest to the truth.
    skewMs: () => (samples.length === 0 ? 0 : Math.min(...samples)),
  };
}

/** Advice of a server is followed up to this, ms: a mistake in it must not keep a client away for a day. */
const MOST_ADVISED_MS = 600_000;

export interface Backoff {
  /** The first wait is drawn from 0 to this, ms. */
  readonly baseMs: number;
  /** No wait is longer than this, ms, whatever the number of attempts. */
  readonly capMs: number;
}

/**
 * How long to wait before the next connection, ms: "full jitter", random between 0 and min(cap, base · 2^attempt). The first
 * attempt after a good connection follows the server's advice instead, drawn from 0 to what it said.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @param attempt connections in a row that did not last, 0 after one that did
 * @param random from 0 up to 1
 */
export function waitMs(
  attempt: number,
  advisedMs: number | null,
  { baseMs, capMs }: Backoff,
  random: () => number,
): number {
  const most = attempt === 0 && advisedMs !== null ? advisedMs : Math.min(capMs, baseMs * 2 ** attempt);
  return random() * most;
}

/** `retry=N` in the reason of a Close frame: spread the next connection over N ms. Null where there is no such advice. */
export function adviceIn(reason: string): number | null {
  const found = /(?:^|;)\s*retry=(\d{1,9})\s*(?:;|$)/.exec(reason);
  return found ? Math.min(Number(found[1]), MOST_ADVISED_MS) : null;
}

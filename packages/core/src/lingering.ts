import type { SessionState } from "./session.ts";

/** Steps of a doubling to which what is left of an older promise is rounded up: it is kept at most 1/64 longer. */
const STEPS = 64;

interface Lingerer {
  readonly state: SessionState;
  /** How long it may linger, ms; never changed while it does. */
  readonly lingerMs: number;
}

/**
 * The lingering sessions of one service, by how long each may linger. Few lengths are in force at a time, and of one length
 * the longest waiting are over first: a Set keeps the order in which they were added.
 */
export class Lingering<Session extends Lingerer> {
  readonly #byLength = new Map<number, Set<Session>>();

  add(session: Session): void {
    const waiting = this.#byLength.get(session.lingerMs);
    if (waiting) waiting.add(session);
    else this.#byLength.set(session.lingerMs, new Set([session]));
  }

  delete(session: Session): void {
    this.#byLength.get(session.lingerMs)?.delete(session);
  }

  /** Those that have lingered for as long as they may, of each length the longest waiting first. They may be deleted meanwhile. */
  *over(nowMs: number): Generator<Session> {
    for (const [lingerMs, waiting] of this.#byLength) {
      for (const session of waiting) {
        if (session.state.name !== "lingering" || session.state.sinceMs + lingerMs > nowMs) break;
        yield session;
      }
      if (waiting.size === 0) this.#byLength.delete(lingerMs);
    }
  }
}

/**
 * How long a session may linger from now on, ms: as long as its last connection was promised, or until an older promise to
 * somebody else is over, where that is later. That rest is rounded up, so that there are never more than some hundred lengths.
 */
export function lingerFor(promisedMs: number, olderUntilMs: number, nowMs: number): number {
  const restMs = olderUntilMs - nowMs;
  if (!(restMs > promisedMs)) return promisedMs;
  if (restMs === Infinity) return restMs;
  const step = 2 ** Math.floor(Math.log2(restMs)) / STEPS;
  return Math.ceil(restMs / step) * step;
}

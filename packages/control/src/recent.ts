import type { Clock } from "@holdover/core";

/**
 * Answers that every page which is open asks for again and again: one that is younger than `lastsMs` is given again, and
 * whoever asks while it is made gets the same. One that failed is not kept.
 */
export class Recent<Answer> {
  readonly #lastsMs: number;
  readonly #clock: Pick<Clock, "now">;
  readonly #given = new Map<string, { readonly atMs: number; readonly answer: Promise<Answer> }>();

  constructor(lastsMs: number, clock: Pick<Clock, "now">) {
    this.#lastsMs = lastsMs;
    this.#clock = clock;
  }

  of(what: string, make: () => Promise<Answer>): Promise<Answer> {
    const nowMs = this.#clock.now();
    const before = this.#given.get(what);
    // A clock that was set back would give the same answer until its old time comes again.
    if (before && nowMs >= before.atMs && nowMs - before.atMs < this.#lastsMs) return before.answer;
    const given = { atMs: nowMs, answer: make() };
    this.#given.set(what, given);
    given.answer.catch(() => {
      if (this.#given.get(what) === given) this.#given.delete(what);
    });
    return given.answer;
  }
}

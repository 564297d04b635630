/** Lengths of the last so many sessions are kept. */
const KEPT = 1000;

/** How long sessions have lasted in this process. */
export class Lengths {
  readonly #kept: number[] = [];
  #next = 0;

  add(ms: number): void {
    this.#kept[this.#next] = ms;
    this.#next = (this.#next + 1) % KEPT;
  }

  /**
   * When the last of these sessions ends, as far as one can tell: each is given the median length of those that ended here
   * and lasted longer than it has so far, and the latest counts. A plain estimate: with many sessions the last one tends to
   * take longer, and sessions that still run are not learnt from. Holdover's own forecast knows better.
   *
   * @param ages of the sessions, ms
   * @returns ms from now; 0 for no session; null where one is older than all that ended here, or none has
   */
  lastEndsIn(ages: readonly number[]): number | null {
    const sorted = this.#kept.toSorted((a, b) => a - b);
    let longest = 0;
    for (const age of ages) {
      const from = firstAbove(sorted, age);
      const median = sorted[from + Math.floor((sorted.length - from) / 2)];
      if (median === undefined) return null;
      longest = Math.max(longest, median - age);
    }
    return longest;
  }
}

/** The index of the first that is larger; the length where none is. */
function firstAbove(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

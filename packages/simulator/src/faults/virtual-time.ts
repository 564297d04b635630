import type { Clock } from "@holdover/core";

/** Where virtual time begins, epoch ms. */
const EPOCH_MS = 1_700_000_000_000;

interface Entry {
  readonly atMs: number;
  /** Of two that are due at the same time the one that was asked for first runs first. */
  readonly order: number;
  run: (() => void) | null;
}

/** True time: an ordered queue of what is to happen. It stands still while anything runs. */
export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #queue: Entry[] = [];

  /** Since the beginning, ms. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Returns what cancels it. */
  after(ms: number, run: () => void): () => void {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, ms), order: (this.#order += 1), run };
    this.#push(entry);
    return () => {
      entry.run = null;
    };
  }

  /**
   * Runs one thing after the other until `goOn` says no, which is asked after each.
   *
   * Between two of them everything that only waits for promises goes on. A turn of the event loop is enough for that,
   * however long a chain of promises is: an immediate runs only when the queue of microtasks is empty, and nothing here
   * waits for anything but promises and this queue. A fixed number of awaits would be enough for chains of one length.
   */
  async run(goOn: () => boolean): Promise<void> {
    for (let next = this.#pop(); next; next = this.#pop()) {
      if (!next.run) continue;
      this.#nowMs = next.atMs;
      next.run();
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      if (!goOn()) return;
    }
  }

  // A binary heap.
  #push(entry: Entry): void {
    const queue = this.#queue;
    let at = queue.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = queue[parent];
      if (!above || !before(entry, above)) break;
      queue[at] = above;
      at = parent;
    }
    queue[at] = entry;
  }

  #pop(): Entry | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (!first || !last || first === last) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = queue[child];
      if (!below) break;
      const other = queue[child + 1];
      if (other && before(other, below)) {
        child += 1;
        below = other;
      }
      if (!before(below, last)) break;
      queue[at] = below;
      at = child;
    }
    queue[at] = last;
    return first;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** One machine's view of the time: off by something, too fast or too slow, and set back or forth at times. */
export class WallClock {
  readonly #time: VirtualTime;
  readonly #rate: number;
  #offsetMs: number;
  #latestMs = 0;

  /** @param ppm how many millionths too fast it is */
  constructor(time: VirtualTime, offsetMs: number, ppm: number) {
    this.#time = time;
    this.#offsetMs = EPOCH_MS + offsetMs;
    this.#rate = 1 + ppm / 1e6;
  }

  now(): number {
    const nowMs = Math.floor(this.#offsetMs + this.#time.nowMs * this.#rate);
    if (nowMs > this.#latestMs) this.#latestMs = nowMs;
    return nowMs;
  }

  /** The latest time that it ever showed. */
  latest(): number {
    return Math.max(this.#latestMs, this.now());
  }

  set(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

/**
 * One life of a process. What it began ends with it: its timers never run, its promises never resolve.
 */
export class Life implements Clock {
  readonly #time: VirtualTime;
  readonly #clock: WallClock;
  readonly #lastWords = new Set<() => void>();
  over = false;

  constructor(time: VirtualTime, clock: WallClock) {
    this.#time = time;
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** A span is not measured by the clock on the wall, so steps of that do not change it. */
  after(ms: number, run: () => void): () => void {
    return this.#time.after(ms, () => {
      if (!this.over) run();
    });
  }

  /** Runs at the end of this life, unless it is cancelled before. */
  atEnd(run: () => void): () => void {
    this.#lastWords.add(run);
    return () => this.#lastWords.delete(run);
  }

  end(): void {
    this.over = true;
    for (const run of this.#lastWords) run();
    this.#lastWords.clear();
  }
}

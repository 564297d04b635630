/** Names that a session keeps ephemeral values under, at the most: the one that was not asked for the longest goes. */
const MOST_NAMES = 100;

/** What ephemeral values have cost, since their session or this process began. */
export interface EphemeralStats {
  /** Calls that found the value there, or on its way. */
  readonly hits: number;
  readonly loads: number;
  /** Of the loads those that failed. */
  readonly failures: number;
  /** The cold penalty: how long all loads took together, and the longest one, ms. */
  readonly loadMs: number;
  readonly longestLoadMs: number;
}

/** Counts for a session, and for those that it is part of. */
export class EphemeralCounts {
  readonly #whole: EphemeralCounts | null;
  #stats: EphemeralStats = { hits: 0, loads: 0, failures: 0, loadMs: 0, longestLoadMs: 0 };

  constructor(whole: EphemeralCounts | null) {
    this.#whole = whole;
  }

  stats(): EphemeralStats {
    return this.#stats;
  }

  hit(): void {
    this.#stats = { ...this.#stats, hits: this.#stats.hits + 1 };
    this.#whole?.hit();
  }

  loaded(tookMs: number, failed: boolean): void {
    const { hits, loads, failures, loadMs, longestLoadMs } = this.#stats;
    this.#stats = {
      hits,
      loads: loads + 1,
      failures: failures + (failed ? 1 : 0),
      loadMs: loadMs + tookMs,
      longestLoadMs: Math.max(longestLoadMs, tookMs),
    };
    this.#whole?.loaded(tookMs, failed);
  }
}

/** Values of one session that can be made again: loaded where they are asked for the first time, and kept in memory. */
export class Ephemerals {
  readonly #kept = new Map<string, Promise<unknown>>();
  readonly #counts: EphemeralCounts;
  readonly #now: () => number;

  constructor(counts: EphemeralCounts, now: () => number) {
    this.#counts = counts;
    this.#now = now;
  }

  get<Value>(name: string, load: () => Value | Promise<Value>): Promise<Value> {
    const known = this.#kept.get(name);
    // The one that was asked for last is the last in the map.
    this.#kept.delete(name);
    if (known) this.#counts.hit();
    const value = known ?? this.#load(name, load);
    this.#kept.set(name, value);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_NAMES) break;
      this.#kept.delete(oldest);
    }
    return value as Promise<Value>;
  }

  clear(): void {
    this.#kept.clear();
  }

  #load(name: string, load: () => unknown): Promise<unknown> {
    const fromMs = this.#now();
    const loading = (async () => load())();
    const value = loading.then(
      (loaded) => {
        this.#counts.loaded(this.#now() - fromMs, false);
        return loaded;
      },
      (thrown: unknown) => {
        this.#counts.loaded(this.#now() - fromMs, true);
        if (this.#kept.get(name) === value) this.#kept.delete(name);
        throw thrown;
      },
    );
    return value;
  }
}

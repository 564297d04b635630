import type { Clock, EndedSession, PinStore } from "@holdover/core";

/** Ends are stored this many at a time, and others get their turn in between: a large release that leaves holds nobody up. */
const BATCH = 500;

/**
 * Ends on their way into the store. A session is over for the router before the store knows; what the store does not
 * take is kept, and taken again with the next save.
 */
export class Ends {
  readonly #pins: Pick<PinStore, "end">;
  readonly #clock: Clock;
  /** By service and key: a key is placed again only when its end is stored, so it has one here at the most. */
  readonly #waiting = new Map<string, EndedSession>();
  #saving: Promise<void> | null = null;

  constructor(pins: Pick<PinStore, "end">, clock: Clock) {
    this.#pins = pins;
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  has(service: string, key: string): boolean {
    return this.#waiting.has(idOf(service, key));
  }

  /** Ended sessions that lived on an instance. */
  countOn(instance: string): number {
    let count = 0;
    for (const ended of this.#waiting.values()) if (ended.instance === instance) count += 1;
    return count;
  }

  add(ended: EndedSession): void {
    this.#waiting.set(idOf(ended.service, ended.key), ended);
  }

  /** Resolves when everything that waits is stored. @throws HoldoverError STORE_FAILED; then all that is left still waits */
  save(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve();
    this.#saving ??= this.#save();
    return this.#saving;
  }

  async #save(): Promise<void> {
    try {
      for (;;) {
        const batch: EndedSession[] = [];
        for (const ended of this.#waiting.values()) if (batch.push(ended) === BATCH) break;
        await this.#pins.end(batch, this.#clock.now());
        for (const { service, key } of batch) this.#waiting.delete(idOf(service, key));
        if (this.#waiting.size === 0) return;
        await new Promise<void>((resolve) => void this.#clock.after(0, resolve));
      }
    } finally {
      // In the same step with seeing that nothing waits: what is added after that has a save of its own.
      this.#saving = null;
    }
  }
}

/** Two services may have a session of the same key; no name of a service has a line break. */
export function idOf(service: string, key: string): string {
  return `${service}\n${key}`;
}

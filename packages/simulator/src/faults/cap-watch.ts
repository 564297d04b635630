import type { RoutedService } from "@holdover/core";
import type { Verdict } from "./verdict.ts";
import type { VirtualTime, WallClock } from "./virtual-time.ts";

interface Closing {
  readonly atMs: number;
  readonly hostMs: number;
}

/** Counts connections that are closed on purpose (rule 6), by the true time and by the host's clock: too many only if both say so. */
export class CapWatch {
  readonly #time: VirtualTime;
  readonly #hostClock: WallClock;
  readonly #verdict: Verdict;
  readonly #closings = new Map<string, Closing[]>();
  counted = 0;

  constructor(time: VirtualTime, hostClock: WallClock, verdict: Verdict) {
    this.#time = time;
    this.#hostClock = hostClock;
    this.#verdict = verdict;
  }

  /** A crash of the host breaks every connection: what was closed before is nothing beside that. */
  hostCrashed(): void {
    this.#closings.clear();
  }

  /** @param held connections of the service that are held now, the one to be closed among them */
  closed({ name, disconnects }: RoutedService, key: string, held: number): void {
    this.counted += 1;
    const { atOnce, periodMs } = disconnects;
    const now: Closing = { atMs: this.#time.nowMs, hostMs: this.#hostClock.now() };
    const within = (this.#closings.get(name) ?? []).filter(
      (one) => now.atMs - one.atMs < periodMs && Math.abs(now.hostMs - one.hostMs) < periodMs,
    );
    // Those that are closed at one moment are a share of what was there before the first of them.
    const live = held + within.filter(({ atMs }) => atMs === now.atMs).length;
    within.push(now);
    this.#closings.set(name, within);
    const most = Math.max(1, Math.floor(live * atOnce));
    if (within.length <= most) return;
    const seen = `${within.length} of ${live} connections are closed within ${periodMs} ms, the last of ${key}`;
    this.#verdict.break("disconnect-cap", `${seen}; ${most} may be`);
  }
}

import { HoldoverError } from "@holdover/core";
import type { Life, VirtualTime } from "./virtual-time.ts";

/** How long a store takes at the most for each half of a call, ms: until it has taken effect, and until it is answered. */
const TAKES_MS = 8;
const TAKES_SLOWLY_MS = 400;

/**
 * What a store does with calls: each takes effect at one moment and is answered at a later one. When its process ends in
 * between it is never answered, and one that had not taken effect does so now or never.
 */
export class Disk {
  readonly #time: VirtualTime;
  readonly #draw: () => number;
  #refusesUntilMs = -1;
  #slowUntilMs = -1;

  constructor(time: VirtualTime, draw: () => number) {
    this.#time = time;
    this.#draw = draw;
  }

  /** It is full: what would be written is refused. */
  refuse(forMs: number): void {
    this.#refusesUntilMs = this.#time.nowMs + forMs;
  }

  slowDown(forMs: number): void {
    this.#slowUntilMs = this.#time.nowMs + forMs;
  }

  /** Since when it has worked as it should, and what it refused before has been answered, ms; in the future while it does not. */
  soundSinceMs(): number {
    return Math.max(this.#refusesUntilMs, this.#slowUntilMs) + 2 * TAKES_SLOWLY_MS;
  }

  write<T>(life: Life, change: () => T): Promise<T> {
    return this.#call(life, () => {
      if (this.#time.nowMs < this.#refusesUntilMs) {
        throw new HoldoverError("STORE_FAILED", { file: "disk", problem: "the disk is full" });
      }
      return change();
    });
  }

  read<T>(life: Life, query: () => T): Promise<T> {
    return this.#call(life, query);
  }

  #call<T>(life: Life, effect: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let answer: (() => void) | null = null;
      const takeEffect = (): void => {
        try {
          const result = effect();
          answer = () => resolve(result);
        } catch (thrown) {
          answer = () => reject(thrown);
        }
      };
      const forget = life.atEnd(() => {
        if (answer === null && this.#draw() < 0.5) takeEffect();
      });
      this.#time.after(this.#takes(), () => {
        if (life.over) return;
        takeEffect();
        this.#time.after(this.#takes(), () => {
          forget();
          if (!life.over) answer?.();
        });
      });
    });
  }

  #takes(): number {
    const most = this.#time.nowMs < this.#slowUntilMs ? TAKES_SLOWLY_MS : TAKES_MS;
    // Most calls are quick, and some as quick as a function's.
    return Math.floor(this.#draw() ** 3 * most);
  }
}

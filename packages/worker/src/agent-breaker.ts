/** When to stop after failures, and for how long. */
export interface BreakerSettings {
  /** So many failures in a row, 1 or more. */
  readonly inARow: number;
  /** Nothing is taken for so long, ms; then one job is tried. */
  readonly pauseMs: number;
}

/** `half-open`: the pause is over, and one job at a time shows whether it works again. */
export type BreakerState = "closed" | "open" | "half-open";

/** What a job was let in with. It is to be given back, once, with how the job ended. */
export interface Pass {
  readonly turn: number;
  readonly isTrial: boolean;
}

/** `neither`: the job was cut, lost or withdrawn, which says nothing about whether it works. */
export type PassResult = "success" | "failure" | "neither";

/**
 * A circuit breaker: closed → open → half-open, with one trial → closed. A job that began before it opened says nothing
 * about the time after, so its end changes nothing then.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  #failures = 0;
  /** Null: closed. */
  #openUntilMs: number | null = null;
  #trialRuns = false;
  /** Grows whenever it opens or closes. */
  #turn = 0;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
  }

  state(nowMs: number): BreakerState {
    if (this.#openUntilMs === null) return "closed";
    return nowMs < this.#openUntilMs ? "open" : "half-open";
  }

  /** Closed, and without a failure to remember. */
  isUntouched(): boolean {
    return this.#openUntilMs === null && this.#failures === 0;
  }

  admits(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === "closed" || (state === "half-open" && !this.#trialRuns);
  }

  /** To be called only where it admits. */
  take(nowMs: number): Pass {
    const isTrial = this.state(nowMs) === "half-open";
    if (isTrial) this.#trialRuns = true;
    return { turn: this.#turn, isTrial };
  }

  /** @returns whether it opened by this */
  giveBack(pass: Pass, result: PassResult, nowMs: number): boolean {
    if (pass.turn !== this.#turn) return false;
    if (pass.isTrial) this.#trialRuns = false;
    if (result === "neither") return false;
    if (result === "success") {
      this.#failures = 0;
      if (pass.isTrial) this.#turnOver(null);
      return false;
    }
    this.#failures += 1;
    if (!pass.isTrial && this.#failures < this.#settings.inARow) return false;
    this.#turnOver(nowMs + this.#settings.pauseMs);
    return true;
  }

  #turnOver(openUntilMs: number | null): void {
    this.#openUntilMs = openUntilMs;
    this.#trialRuns = false;
    this.#turn += 1;
  }
}

import { problemOf, type AuditDraft } from "@holdover/core";

/** Promises of observers that are waited for at the end; of more, those that came first are. */
const MOST_WAITED_FOR = 1000;

/** What a session is, to whoever watches. */
export interface WatchedSession {
  readonly key: string;
  readonly fence: number;
  readonly label: string | null;
  readonly agent: string;
  readonly tenant: string | null;
  /** When it began, epoch ms. */
  readonly openedAtMs: number;
}

/**
 * How a session ended here. `completed`: its agent returned; `failed`: it threw; `cut`: it was ended by force;
 * `lost`: it was placed on another instance meanwhile.
 */
export type SessionOutcome = "completed" | "failed" | "cut" | "lost";

/**
 * Told of every session. Whatever an observer throws, or a promise of it that rejects or never settles, is counted and
 * logged, and changes nothing of any session. What it computes in one turn does hold the process up: keep it short.
 */
export interface PoolObserver {
  onSessionStart?(session: WatchedSession): unknown;
  /** @param error what the agent threw, where it failed */
  onSessionEnd?(session: WatchedSession, outcome: SessionOutcome, error?: unknown): unknown;
}

/** Takes entries of what the pool decided. The same care is taken of it as of an observer. */
export type PoolAuditSink = (entry: AuditDraft) => unknown;

export type PoolLog = (event: string, detail: Readonly<Record<string, string | number>>) => void;

/** Calls those who watch, so that nothing of theirs reaches who is watched. */
export class Watchers {
  readonly #observers: readonly PoolObserver[];
  readonly #sink: PoolAuditSink | null;
  readonly #log: PoolLog;
  readonly #waiting = new Set<Promise<void>>();
  #failures = 0;

  constructor(observers: readonly PoolObserver[], sink: PoolAuditSink | null, log: PoolLog) {
    this.#observers = observers;
    this.#sink = sink;
    this.#log = log;
  }

  /** Calls that threw or rejected. */
  get failures(): number {
    return this.#failures;
  }

  started(session: WatchedSession): void {
    for (const observer of this.#observers) this.#call("observer", () => observer.onSessionStart?.(session));
  }

  ended(session: WatchedSession, outcome: SessionOutcome, error: unknown): void {
    for (const observer of this.#observers) {
      this.#call("observer", () => observer.onSessionEnd?.(session, outcome, error));
    }
  }

  audit(entry: AuditDraft): void {
    this.#call("audit sink", () => this.#sink?.(entry));
  }

  log(event: string, detail: Readonly<Record<string, string | number>>): void {
    try {
      this.#log(event, detail);
    } catch {
      // There is nowhere left to tell it.
      this.#failures += 1;
    }
  }

  /** Resolves when what they have begun has come to its end, be it a bad one. May never do so. */
  async idle(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  #call(who: string, call: () => unknown): void {
    try {
      const result = call();
      if (!isThenable(result)) return;
      const waiting: Promise<void> = Promise.resolve(result)
        .then(
          () => {},
          (thrown: unknown) => this.#failed(who, thrown),
        )
        .finally(() => this.#waiting.delete(waiting));
      if (this.#waiting.size < MOST_WAITED_FOR) this.#waiting.add(waiting);
    } catch (thrown) {
      this.#failed(who, thrown);
    }
  }

  #failed(who: string, thrown: unknown): void {
    this.#failures += 1;
    this.log("watcher.failed", { who, problem: problemOf(thrown) });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

import {
  formatDuration,
  problemOf,
  type AuditCursors,
  type AuditEntry,
  type AuditLog,
  type AuditSink,
  type Clock,
} from "@holdover/core";

/** Entries that a sink is given at once. */
const BATCH_ENTRIES = 100;
/** How long one delivery may take, in ms. */
const DELIVERY_MS = 10_000;
/** A delivery that failed is tried again after so long, and twice as long after each further failure, in ms. */
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 60_000;

export interface AuditSinksOptions {
  readonly audit: AuditLog;
  readonly cursors: AuditCursors;
  readonly sinks: readonly AuditSink[];
  readonly clock: Clock;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export interface AuditSinkState {
  readonly name: string;
  /** Number of the last entry that it has taken in; null: not read from the store yet. */
  readonly sentSeq: number | null;
  /** Entries that it has not taken in; null: not known. */
  readonly backlog: number | null;
  /** Why the last delivery failed, and since when none has succeeded; null: it did not. */
  readonly failure: { readonly problem: string; readonly sinceMs: number } | null;
}

/** Brings the audit log to its sinks. */
export interface AuditSinks {
  start(): void;
  states(): AuditSinkState[];
  /** Ends what is under way; what a sink has not taken in by now it is given after the next start. */
  stop(): Promise<void>;
}

/**
 * Every sink is given every entry at least once and in order, one batch after the other, from where it had come to. Each
 * goes at its own pace: one that fails, hangs or is slow keeps up neither another one nor whoever writes the log.
 */
export function createAuditSinks({ audit, cursors, sinks, clock, log }: AuditSinksOptions): AuditSinks {
  let headSeq: number | null = null;
  let unsubscribe = (): void => {};
  const feeds = sinks.map((sink) => feed(sink));

  function feed(sink: AuditSink) {
    const stopped = new AbortController();
    let sentSeq: number | null = null;
    let failure: AuditSinkState["failure"] = null;
    let failures = 0;
    let wake = (): void => {};
    let running = Promise.resolve();

    async function run(): Promise<void> {
      while (!stopped.signal.aborted) {
        try {
          const sent = (sentSeq ??= await cursors.at(sink.name));
          headSeq ??= (await audit.head()).seq;
          const entries = await audit.read(sent, BATCH_ENTRIES);
          const last = entries.at(-1);
          if (last) {
            await withinTime(sink, entries);
            await cursors.move(sink.name, last.seq);
            sentSeq = last.seq;
          }
          if (failure) log.warn({ sink: sink.name }, "a sink of the audit log takes entries again");
          failure = null;
          failures = 0;
          if (!last) await idle(() => (headSeq ?? 0) > sent);
        } catch (thrown) {
          if (stopped.signal.aborted) return;
          const problem = problemOf(thrown);
          if (failure?.problem !== problem) log.warn({ sink: sink.name, problem }, "a sink of the audit log failed");
          failure = { problem, sinceMs: failure?.sinceMs ?? clock.now() };
          failures += 1;
          await pause(Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** (failures - 1)));
        }
      }
    }

    /** One that does not let go when it is given up is not waited for: it gets the same entries again. */
    async function withinTime(to: AuditSink, entries: readonly AuditEntry[]): Promise<void> {
      const givenUp = Promise.withResolvers<void>();
      const cancel = clock.after(DELIVERY_MS, givenUp.resolve);
      const onStop = (): void => givenUp.resolve();
      stopped.signal.addEventListener("abort", onStop);
      const late = givenUp.promise.then(() => {
        throw new Error(`it did not take them within ${formatDuration(DELIVERY_MS)}`);
      });
      try {
        await Promise.race([to.deliver(entries, givenUp.promise), late]);
      } finally {
        cancel();
        stopped.signal.removeEventListener("abort", onStop);
      }
    }

    async function idle(news: () => boolean): Promise<void> {
      while (!stopped.signal.aborted && !news()) await new Promise<void>((resolve) => (wake = resolve));
    }

    async function pause(ms: number): Promise<void> {
      const over = Promise.withResolvers<void>();
      const cancel = clock.after(ms, over.resolve);
      const onStop = (): void => over.resolve();
      stopped.signal.addEventListener("abort", onStop);
      await over.promise;
      stopped.signal.removeEventListener("abort", onStop);
      cancel();
    }

    return {
      news: () => wake(),
      start: () => void (running = run()),
      async stop() {
        stopped.abort();
        wake();
        await running;
      },
      state: (): AuditSinkState => ({
        name: sink.name,
        sentSeq,
        backlog: headSeq === null || sentSeq === null ? null : Math.max(0, headSeq - sentSeq),
        failure,
      }),
    };
  }

  return {
    start() {
      if (feeds.length === 0) return;
      unsubscribe = audit.subscribe((entries) => {
        headSeq = entries.at(-1)?.seq ?? headSeq;
        for (const one of feeds) one.news();
      });
      for (const one of feeds) one.start();
    },
    states: () => feeds.map((one) => one.state()),
    async stop() {
      unsubscribe();
      await Promise.all(feeds.map((one) => one.stop()));
    },
  };
}

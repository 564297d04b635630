import type { ServerResponse } from "node:http";
import { HoldoverError, problemOf, type AuditEntry, type AuditLog, type Clock } from "@holdover/core";
import type { ApiLog } from "./api-log.ts";
import type { StatusFeed } from "./status-feed.ts";

/** Streams at once. Each one reads the log by itself, so their number is what they cost. */
export const STREAM_LIMIT = 100;
/** How often a stream says that it lives, in ms: proxies cut what is silent for 30 s or more. */
const KEEP_ALIVE_MS = 15_000;
/** Entries that are read and held for a client at once. */
const PAGE_ENTRIES = 100;
/** After how many ms a client is advised to come back. */
const RETRY_MS = 2000;

/** What a client wants to hear. */
interface Wanted {
  /** Audit entries with a higher number. */
  readonly afterSeq: number;
  /** The status too. */
  readonly status: boolean;
  /** Whether the client may hear it still: its token may be revoked, or expire. */
  readonly isLetIn: () => boolean;
}

export interface EventStreams {
  /**
   * Answers with the audit entries that are wanted, and each new one when it is stored, until either end closes or the
   * client is not let in any more.
   * @throws HoldoverError STREAM_LIMIT, CONTROL_BUSY; then nothing has been answered
   */
  open(response: ServerResponse, wanted: Wanted): void;
  /** How many are open. */
  count(): number;
  /** Ends all streams; no other is opened. */
  close(): void;
}

/**
 * Audit entries as server-sent events.
 *
 * A stream always reads from the log, after the last entry that it sent; what the log calls out is only the news that
 * there is more. So there is no seam between what was missed and what is live, at which an entry could be lost or come
 * twice, and a client that reads slowly holds one page of entries and not a queue that grows. One that took nothing
 * from one keep-alive to the next is dropped; it comes back with the id of the last entry that it has seen.
 *
 * A status says all there is, so the next one makes up for any that was left out: none waits for a client that does not
 * read, and none has an id to resume from.
 */
export function createEventStreams(audit: AuditLog, feed: StatusFeed, clock: Clock, log: ApiLog): EventStreams {
  const ends = new Set<() => void>();
  let closed = false;

  async function run(response: ServerResponse, { afterSeq, status, isLetIn }: Wanted): Promise<void> {
    let sentSeq = afterSeq;
    let statusMissed = false;
    let leaveFeed = () => {};
    let stalled = false;
    let wake = () => {};
    const state = { news: false, over: false };
    const until = async (condition: () => boolean): Promise<void> => {
      while (!state.over && !condition()) await new Promise<void>((resolve) => (wake = resolve));
    };
    const end = () => {
      state.over = true;
      response.end();
      wake();
    };
    const unsubscribe = audit.subscribe(() => {
      state.news = true;
      wake();
    });
    let cancelTick = clock.after(KEEP_ALIVE_MS, tick);
    function tick(): void {
      // Ended, but still waiting for the log: nothing may be written after the end.
      if (state.over) return;
      if (!isLetIn()) return end();
      if (stalled) {
        log.warn({ sentSeq }, "an event stream was dropped: its client does not read");
        response.destroy();
        return;
      }
      stalled = response.writableNeedDrain;
      if (!stalled) response.write(": keep-alive\n\n");
      cancelTick = clock.after(KEEP_ALIVE_MS, tick);
    }
    function sendStatus(event: string | null): void {
      if (state.over || event === null) return;
      if (!isLetIn()) return end();
      statusMissed = response.writableNeedDrain;
      if (!statusMissed) response.write(event);
    }
    response.on("drain", () => {
      stalled = false;
      if (statusMissed) sendStatus(feed.latest());
      wake();
    });
    response.on("close", () => {
      state.over = true;
      wake();
    });
    ends.add(end);
    try {
      response.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        // Else nginx collects the events before it passes them on.
        "x-accel-buffering": "no",
      });
      response.write(`retry: ${RETRY_MS}\n\n`);
      if (status) {
        sendStatus(feed.latest());
        leaveFeed = feed.join(sendStatus);
      }
      while (!state.over) {
        state.news = false;
        const entries = await audit.read(sentSeq, PAGE_ENTRIES);
        if (state.over) break;
        if (!isLetIn()) return end();
        const last = entries.at(-1);
        if (last) {
          sentSeq = last.seq;
          response.write(entries.map(eventOf).join(""));
          await until(() => !response.writableNeedDrain);
        }
        if (entries.length < PAGE_ENTRIES) await until(() => state.news);
      }
    } finally {
      ends.delete(end);
      unsubscribe();
      leaveFeed();
      cancelTick();
    }
  }

  return {
    open(response, wanted) {
      if (closed) throw new HoldoverError("CONTROL_BUSY", { problem: "it is shutting down" });
      if (ends.size >= STREAM_LIMIT) throw new HoldoverError("STREAM_LIMIT", { limit: STREAM_LIMIT });
      run(response, wanted).catch((error: unknown) => {
        // The answer has begun, so the error cannot be told in it: the client comes back and is told then.
        log.error({ err: error }, `an event stream ended: ${problemOf(error)}`);
        response.destroy();
      });
    },
    count: () => ends.size,
    close() {
      closed = true;
      for (const end of ends) end();
    },
  };
}

function eventOf(entry: AuditEntry): string {
  return `id: ${entry.seq}\nevent: audit\ndata: ${JSON.stringify(entry)}\n\n`;
}

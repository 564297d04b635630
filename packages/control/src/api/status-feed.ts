import { problemOf, type Clock } from "@holdover/core";
import type { ApiLog } from "./api-log.ts";
import type { StatusView } from "./views.ts";

/** How often it is looked whether the status has changed, in ms. */
export const STATUS_EVERY_MS = 1000;
/** After so many ms it is told although nothing has changed: by that a page tells that nothing happens from that nothing arrives. */
export const STATUS_AT_LEAST_MS = 5000;

/** The status as an event, made once for however many streams send it, and only while there is one that does. */
export interface StatusFeed {
  /** The event as it is now, at most {@link STATUS_EVERY_MS} old; null: it could not be made. */
  latest(): string | null;
  /** Tells of each new event. Returns what ends that. */
  join(listener: (event: string) => void): () => void;
}

export function createStatusFeed(status: () => StatusView, clock: Clock, log: ApiLog): StatusFeed {
  const listeners = new Set<(event: string) => void>();
  let cancel = () => {};
  let madeAtMs = -Infinity;
  let told: { readonly event: string; readonly content: string; readonly atMs: number } | null = null;

  function make(): void {
    const atMs = clock.now();
    madeAtMs = atMs;
    try {
      // The time of the status changes always, which is no news.
      const { nowMs, ...rest } = status();
      const content = JSON.stringify(rest).slice(1);
      if (told?.content === content && atMs - told.atMs < STATUS_AT_LEAST_MS) return;
      told = { event: `event: status\ndata: {"nowMs":${nowMs},${content}\n\n`, content, atMs };
    } catch (thrown) {
      log.error({ err: thrown }, `the status could not be told: ${problemOf(thrown)}`);
      told = null;
    }
    if (told) for (const listener of listeners) listener(told.event);
  }

  function tick(): void {
    cancel = clock.after(STATUS_EVERY_MS, tick);
    make();
  }

  return {
    latest() {
      if (clock.now() - madeAtMs >= STATUS_EVERY_MS) make();
      return told?.event ?? null;
    },
    join(listener) {
      listeners.add(listener);
      if (listeners.size === 1) cancel = clock.after(STATUS_EVERY_MS, tick);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) cancel();
      };
    },
  };
}

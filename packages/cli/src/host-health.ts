import { monitorEventLoopDelay } from "node:perf_hooks";
import type { HostStore } from "@holdover/adapters/stores/sqlite";
import type { Clock, HostHealth } from "@holdover/core";

/** How often the event loop is looked at, ms. */
const LOOK_MS = 20;
/** How long its delays are taken together, ms: a scrape every half minute sees each of them. */
const WINDOW_MS = 30_000;
/** What was read is good for so long, ms: counts are told up to twenty times a second. */
const FRESH_MS = 1000;

export interface HostHealthOptions {
  readonly store: Pick<HostStore, "health" | "waitingEvents" | "droppedEvents">;
  readonly sessionsMost: number;
  readonly clock: Clock;
}

/** Looks at the host process from within. */
export interface HealthWatch {
  /** @param links how often it was linked to control */
  read(links: number): HostHealth;
  stop(): void;
}

export function watchHealth({ store, sessionsMost, clock }: HostHealthOptions): HealthWatch {
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS });
  delays.enable();
  const startedAtMs = Math.round(performance.timeOrigin);
  let windowSinceMs = clock.now();
  /** Of the last window that is over; null before the first is. */
  let lastWindow: HostHealth["loopLag"] | null = null;
  let read: Omit<HostHealth, "links"> | null = null;
  let readAtMs = 0;

  const loopLag = (nowMs: number): HostHealth["loopLag"] => {
    // What is measured is the time between two looks, of which `LOOK_MS` are meant to be.
    const lateS = (ns: number): number => Math.max(0, ns / 1e9 - LOOK_MS / 1000) || 0;
    const lag = { p50S: lateS(delays.percentile(50)), p99S: lateS(delays.percentile(99)), maxS: lateS(delays.max) };
    if (nowMs - windowSinceMs < WINDOW_MS) return lastWindow ?? lag;
    windowSinceMs = nowMs;
    lastWindow = lag;
    delays.reset();
    return lag;
  };

  const look = (nowMs: number): Omit<HostHealth, "links"> => {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      startedAtMs,
      cpuS: (user + system) / 1e6,
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      loopLag: loopLag(nowMs),
      store: store.health(),
      events: eventsOf(store),
      sessionsMost,
    };
  };

  return {
    read: (links) => {
      const nowMs = clock.now();
      if (!read || nowMs - readAtMs >= FRESH_MS) {
        read = look(nowMs);
        readAtMs = nowMs;
      }
      return { ...read, links };
    },
    stop: () => void delays.disable(),
  };
}

function eventsOf(store: HostHealthOptions["store"]): HostHealth["events"] {
  try {
    return { waiting: store.waitingEvents(), dropped: store.droppedEvents() };
  } catch {
    // It is counted with the store's failures.
    return null;
  }
}

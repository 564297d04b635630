import { setTimeout as delay } from "node:timers/promises";
import type { LoadResult } from "./load-call.ts";
import { cpuSeconds } from "./process-usage.ts";
import { quantile } from "./quantiles.ts";

/** The measured part of a load: what is over within it is counted, what is before or after is not. */
export interface Window {
  /** Something was over that began at `startedAt` (performance.now). */
  over(startedAt: number): void;
  /** Warms, measures, stops the load, lets it settle. */
  run(times: WindowTimes, stop: () => Promise<void> | void): Promise<LoadResult>;
}

interface WindowTimes {
  readonly pids: readonly number[];
  readonly warmMs: number;
  readonly ms: number;
  /** How long CPU is still counted after the load has stopped: for work that is due to it and comes later. */
  readonly settleMs?: number;
}

export function newWindow(): Window {
  let measuring = false;
  const spans: number[] = [];
  return {
    over(startedAt) {
      if (measuring) spans.push(performance.now() - startedAt);
    },
    async run({ pids, warmMs, ms, settleMs = 0 }, stop) {
      await delay(warmMs);
      const cpuBefore = cpuSeconds(pids);
      const startedAt = performance.now();
      measuring = true;
      await delay(ms);
      measuring = false;
      const seconds = (performance.now() - startedAt) / 1000;
      const cpuAtEnd = cpuSeconds(pids);
      await stop();
      if (settleMs > 0) await delay(settleMs);
      const cpu = (settleMs > 0 ? cpuSeconds(pids) : cpuAtEnd) - cpuBefore;
      const sorted = Float64Array.from(spans).sort();
      return {
        count: sorted.length,
        seconds,
        cpuSeconds: cpu,
        p50Ms: quantile(sorted, 0.5),
        p99Ms: quantile(sorted, 0.99),
      };
    },
  };
}

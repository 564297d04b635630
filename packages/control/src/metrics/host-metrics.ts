import type { LinkHealth } from "@holdover/core";
import type { StatusView } from "../api/views.ts";
import type { Scrape } from "./scrape.ts";

/** The control link, and the host process at its other end. */
export function tellHost(scrape: Scrape, { router }: StatusView, { silentMs, host }: LinkHealth): void {
  scrape.gauge("holdover_link_up", "Whether the host is linked to control.", router.linked ? 1 : 0);
  scrape.gauge(
    "holdover_link_silent_seconds",
    "How long ago the host said anything; it does every 5 s.",
    silentMs === null ? null : silentMs / 1000,
  );
  if (!host) return;
  scrape.counter("holdover_link_connects_total", "How often the host was linked to a control process.", host.links);
  scrape.gauge(
    "holdover_host_start_time_seconds",
    "Unix time at which the host process began.",
    host.startedAtMs / 1000,
  );
  scrape.counter("holdover_host_cpu_seconds_total", "Processor time of the host process.", host.cpuS);
  scrape.gauge("holdover_host_resident_memory_bytes", "Memory of the host process.", host.residentBytes);
  scrape.gauge("holdover_host_heap_used_bytes", "JavaScript heap that the host process uses.", host.heapUsedBytes);
  const lag = scrape.gauges(
    "holdover_host_event_loop_lag_seconds",
    "How late the event loop of the host was within half a minute.",
    ["stat"],
  );
  lag.add({ stat: "p50" }, host.loopLag.p50S);
  lag.add({ stat: "p99" }, host.loopLag.p99S);
  lag.add({ stat: "max" }, host.loopLag.maxS);
  const { events } = host;
  scrape.gauge(
    "holdover_events_waiting",
    "Session events of the host that control has not stored yet.",
    events && events.waiting,
  );
  scrape.counter(
    "holdover_events_dropped_total",
    "Session events that were given up because too many waited.",
    events && events.dropped,
  );
}

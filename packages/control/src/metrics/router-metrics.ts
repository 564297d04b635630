import { ERRORS, type ErrorCode, type LinkHealth, type Traffic } from "@holdover/core";
import type { StatusView } from "../api/views.ts";
import type { Scrape } from "./scrape.ts";

/** They have a series from the beginning: `increase()` would not see the first one otherwise. */
const ALERTED: ReadonlySet<string> = new Set<ErrorCode>([
  "NO_INSTANCE",
  "INSTANCE_UNREACHABLE",
  "SESSION_LIMIT",
  "STORE_FAILED",
  "INTERNAL",
]);

/** What the router does, and which table it follows. */
export function tellRouter(
  scrape: Scrape,
  { router }: StatusView,
  traffic: Traffic | null,
  { host, applying }: LinkHealth,
): void {
  scrape.gauge("holdover_table_issued", "Number of the last routing table that control gave out.", router.tableIssued);
  scrape.gauge("holdover_table_in_force", "Number of the routing table that the router follows.", router.tableInForce);
  scrape.latencies(
    "holdover_table_apply_seconds",
    "How long a routing table took from being signed to being in force.",
    [[{}, applying]],
  );
  scrape.gauge("holdover_sessions_limit", "Sessions that the router holds at the most.", host?.sessionsMost ?? null);
  if (!traffic) return;
  const { requests, upgrades, connections, placing, added, stale } = traffic;
  scrape.counter("holdover_router_requests_total", "Requests that the router took.", requests);
  scrape.counter("holdover_router_upgrades_total", "Upgrades, such as WebSockets, that the router took.", upgrades);
  scrape.gauge("holdover_router_connections", "Connections of clients to the router.", connections);
  const refused = scrape.counters(
    "holdover_router_refused_total",
    "Answers that the router gave itself, by code of the error table.",
    ["code"],
  );
  const counted: Readonly<Record<string, number>> = traffic.refused;
  for (const code of Object.keys(ERRORS)) {
    const count = counted[code] ?? (ALERTED.has(code) ? 0 : null);
    if (count !== null) refused.add({ code }, count);
  }
  scrape.latencies(
    "holdover_router_placing_seconds",
    "How long a session without a place took to be placed and stored.",
    [[{}, placing]],
  );
  scrape.latencies(
    "holdover_router_added_seconds",
    "What the router adds: from a request's head being read to a connection to its instance being chosen.",
    [
      [{ session: "known" }, added.known],
      [{ session: "placed" }, added.placed],
    ],
  );
  const refusals = scrape.counters(
    "holdover_router_fence_refusals_total",
    "Calls of workers that were refused because their fence is over.",
    ["call"],
  );
  for (const call of ["claim", "write", "attach"] as const) refusals.add({ call }, stale[call]);
}

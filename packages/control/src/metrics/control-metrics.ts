import type { AuditHead, RejectionReason, StoreHealth } from "@holdover/core";
import type { AuditSinkState } from "../audit-sinks.ts";
import type { Scrape } from "./scrape.ts";

/** What control knows of itself and of the stores. */
export interface ControlFacts {
  readonly version: string;
  /** Null: the store does not tell. */
  readonly head: AuditHead | null;
  readonly unsigned: boolean;
  readonly sinks: readonly AuditSinkState[];
  readonly rejections: Readonly<Record<RejectionReason, number>>;
  readonly stores: { readonly control: StoreHealth; readonly host: StoreHealth | null };
  readonly openStreams: number;
}

export function tellControl(scrape: Scrape, facts: ControlFacts): void {
  const { version, head, unsigned, sinks, rejections, stores, openStreams } = facts;
  const build = scrape.gauges("holdover_build_info", "1, with the version that runs.", ["version", "node"]);
  build.add({ version, node: process.version }, 1);
  scrape.gauge("holdover_api_streams", "Streams of events that are open on the API.", openStreams);
  const rejected = scrape.counters(
    "holdover_member_rejections_total",
    "Workers that were refused because they did not prove who they are, by reason.",
    ["reason"],
  );
  for (const [reason, count] of Object.entries(rejections)) rejected.add({ reason }, count);
  tellStores(scrape, stores);
  scrape.counter("holdover_audit_entries_total", "Entries of the audit log.", head && head.seq);
  scrape.gauge(
    "holdover_audit_unsigned",
    "1 where the head of the audit log could not be signed when it was last to be.",
    unsigned ? 1 : 0,
  );
  tellSinks(scrape, sinks);
}

function tellStores(scrape: Scrape, { control, host }: ControlFacts["stores"]): void {
  const bytes = scrape.gauges("holdover_store_bytes", "Size of a database on disk, with its log.", ["store"]);
  const failures = scrape.counters(
    "holdover_store_failures_total",
    "Changes that a database did not take, and queries that it did not answer.",
    ["store"],
  );
  for (const [store, health] of Object.entries({ control, host })) {
    if (!health) continue;
    bytes.add({ store }, health.bytes);
    failures.add({ store }, health.failures);
  }
}

function tellSinks(scrape: Scrape, sinks: readonly AuditSinkState[]): void {
  const backlog = scrape.gauges("holdover_audit_sink_backlog_entries", "Audit entries that a sink has not taken in.", [
    "sink",
  ]);
  const failing = scrape.gauges("holdover_audit_sink_failing", "1 where the last delivery to a sink failed.", ["sink"]);
  for (const { name: sink, backlog: entries, failure } of sinks) {
    if (entries !== null) backlog.add({ sink }, entries);
    failing.add({ sink }, failure ? 1 : 0);
  }
}

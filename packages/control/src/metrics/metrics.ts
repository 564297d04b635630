import type { AuditHead, LinkHealth, RejectionReason, SessionTotals, StoreHealth, Traffic } from "@holdover/core";
import { collectDefaultMetrics, Registry } from "prom-client";
import type { StatusView } from "../api/views.ts";
import type { AuditSinkState } from "../audit-sinks.ts";
import { tellControl } from "./control-metrics.ts";
import { tellHost } from "./host-metrics.ts";
import { tellReleases } from "./release-metrics.ts";
import { tellRouter } from "./router-metrics.ts";
import { Scrape } from "./scrape.ts";

/** Where the values come from, at each scrape. */
export interface MetricsSources {
  readonly status: () => StatusView;
  readonly traffic: () => Traffic | null;
  readonly link: () => LinkHealth;
  readonly totals: () => Promise<SessionTotals[]>;
  readonly auditHead: () => Promise<AuditHead>;
  /** Whether the head of the audit log could not be signed. */
  readonly auditUnsigned: () => boolean;
  /** Left out: there is none. */
  readonly auditSinks?: () => readonly AuditSinkState[];
  readonly rejections: () => Readonly<Record<RejectionReason, number>>;
  /** control.db. */
  readonly store: () => StoreHealth;
  readonly openStreams: () => number;
}

export interface Metrics {
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
}

/** Gauges that prom-client calls totals, which a counter alone is. */
const MISNAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/**
 * What Prometheus scrapes; docs/metrics.md has the table. Every value is read at the scrape; one that is not known now has
 * no series, and never a zero: without a link to the host there are no counts of sessions, instances or traffic.
 *
 * The counters of the router restart at zero with its process, as `rate()` expects of a counter. Those of ended sessions
 * come from the history and go on.
 */
export function createMetrics(sources: MetricsSources): Metrics {
  const ownProcess = new Registry();
  collectDefaultMetrics({ register: ownProcess });
  for (const name of MISNAMED) ownProcess.removeSingleMetric(name);
  return {
    async text() {
      // A scrape is still worth having while the store cannot be read: what comes from there is then not known.
      const [totals, head] = await Promise.all([
        sources.totals().catch(() => null),
        sources.auditHead().catch(() => null),
      ]);
      const scrape = new Scrape();
      const status = sources.status();
      const link = sources.link();
      tellReleases(scrape, status, totals);
      tellRouter(scrape, status, sources.traffic(), link);
      tellHost(scrape, status, link);
      tellControl(scrape, {
        version: status.version,
        head,
        unsigned: sources.auditUnsigned(),
        sinks: sources.auditSinks?.() ?? [],
        rejections: sources.rejections(),
        stores: { control: sources.store(), host: link.host?.store ?? null },
        openStreams: sources.openStreams(),
      });
      return `${await scrape.text()}\n${await ownProcess.metrics()}`;
    },
  };
}

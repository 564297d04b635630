import type { AuditHead, SessionTotals, Traffic } from "@holdover/core";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { ReleaseView, StatusView } from "./api/views.ts";
import type { AuditSinkState } from "./audit-sinks.ts";

/** Where the values come from, at each scrape. */
export interface MetricsSources {
  status(): StatusView;
  traffic(): Traffic | null;
  totals(): Promise<SessionTotals[]>;
  auditHead(): Promise<AuditHead>;
  /** Left out: there is none. */
  auditSinks?(): readonly AuditSinkState[];
}

export interface Metrics {
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
}

/** Releases of a service that are over and still have series, so that their number does not grow for ever. */
const ENDED_RELEASES = 20;

/**
 * What Prometheus scrapes. Every value is read at the scrape; one that is not known now has no series, and never a zero:
 * without a link to the host there are no counts of sessions, instances or traffic.
 *
 * The counters of the router restart at zero with its process, as `rate()` expects of a counter. Those of ended sessions
 * come from the history and go on. A release that is over has series until 20 later ones of its service are over too.
 */
export function createMetrics(sources: MetricsSources): Metrics {
  const processMetrics = new Registry();
  collectDefaultMetrics({ register: processMetrics });
  return {
    async text() {
      // A scrape is still worth having while the store cannot be read: what comes from there is then not known.
      const [totals, head] = await Promise.all([
        sources.totals().catch(() => null),
        sources.auditHead().catch(() => null),
      ]);
      const registry = observe(sources.status(), sources.traffic(), totals, head);
      observeSinks(registry, sources.auditSinks?.() ?? []);
      return `${await registry.metrics()}\n${await processMetrics.metrics()}`;
    },
  };
}

/** A registry for one scrape alone: series of what is gone need not be removed, and scrapes at the same time do not mix. */
function observe(
  status: StatusView,
  traffic: Traffic | null,
  totals: readonly SessionTotals[] | null,
  head: AuditHead | null,
): Registry {
  const registry = new Registry();
  const metric = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) => ({
    name,
    help,
    labelNames,
    registers: [registry],
  });
  const gauge = (name: string, help: string, value: number) => new Gauge(metric(name, help, [])).set(value);
  const counter = (name: string, help: string, value: number) => new Counter(metric(name, help, [])).inc(value);

  observeReleases(status, metric);
  if (totals) observeTotals(status, totals, metric);

  gauge("holdover_link_up", "Whether the host is linked to control.", status.router.linked ? 1 : 0);
  gauge("holdover_table_issued", "Number of the last routing table that control gave out.", status.router.tableIssued);
  if (status.router.tableInForce !== null) {
    gauge(
      "holdover_table_in_force",
      "Number of the routing table that the router follows.",
      status.router.tableInForce,
    );
  }
  if (traffic) {
    counter("holdover_router_requests_total", "Requests that the router took.", traffic.requests);
    counter("holdover_router_upgrades_total", "Upgrades, such as WebSockets, that the router took.", traffic.upgrades);
    gauge("holdover_router_connections", "Connections of clients to the router.", traffic.connections);
    const refused = new Counter(
      metric("holdover_router_refused_total", "Answers that the router gave itself, by code of the error table.", [
        "code",
      ]),
    );
    for (const [code, count] of Object.entries(traffic.refused)) refused.inc({ code }, count);
  }
  if (head) counter("holdover_audit_entries_total", "Entries of the audit log.", head.seq);
  return registry;
}

function observeSinks(registry: Registry, sinks: readonly AuditSinkState[]): void {
  if (sinks.length === 0) return;
  const about = { labelNames: ["sink"], registers: [registry] };
  const backlog = new Gauge({
    ...about,
    name: "holdover_audit_sink_backlog_entries",
    help: "Audit entries that a sink has not taken in.",
  });
  const failing = new Gauge({
    ...about,
    name: "holdover_audit_sink_failing",
    help: "1 where the last delivery to a sink failed.",
  });
  for (const sink of sinks) {
    if (sink.backlog !== null) backlog.set({ sink: sink.name }, sink.backlog);
    failing.set({ sink: sink.name }, sink.failure ? 1 : 0);
  }
}

type Metric = <Label extends string>(
  name: string,
  help: string,
  labelNames: readonly Label[],
) => { name: string; help: string; labelNames: readonly Label[]; registers: Registry[] };

const OF_RELEASE = ["service", "release"] as const;

function observeReleases(status: StatusView, metric: Metric): void {
  const sessions = new Gauge(metric("holdover_sessions", "Sessions, by state.", [...OF_RELEASE, "state"]));
  const wedged = new Gauge(
    metric("holdover_sessions_wedged", "Open sessions of a retained release without a byte for long.", OF_RELEASE),
  );
  const connections = new Gauge(
    metric("holdover_connections", "Connections of the sessions of a release.", OF_RELEASE),
  );
  const state = new Gauge(
    metric("holdover_release_state", "1 for the state that a live release is in.", [...OF_RELEASE, "state"]),
  );
  const instances = new Gauge(metric("holdover_instances", "Instances alive, by state.", [...OF_RELEASE, "state"]));
  const deadline = new Gauge(
    metric("holdover_release_deadline_seconds", "Unix time at which what is left on a release is ended.", OF_RELEASE),
  );
  const wouldCut = new Gauge(
    metric(
      "holdover_release_would_cut_sessions",
      "Sessions that the deadline will cut, as an expectation.",
      OF_RELEASE,
    ),
  );
  const retires = new Gauge(
    metric(
      "holdover_release_retires_seconds",
      "Unix time at which a release will have retired, by quantile of the forecast.",
      [...OF_RELEASE, "quantile"],
    ),
  );

  for (const { service, release } of shown(status)) {
    const labels = { service: service.name, release: release.id };
    if (release.sessions) {
      sessions.set({ ...labels, state: "open" }, release.sessions.open);
      sessions.set({ ...labels, state: "lingering" }, release.sessions.lingering);
      wedged.set(labels, release.sessions.wedged);
      connections.set(labels, release.sessions.connections);
    }
    if (isOver(release)) continue;
    state.set({ ...labels, state: release.state }, 1);
    const deadlineMs = release.retention?.deadlineMs ?? null;
    if (deadlineMs !== null) deadline.set(labels, deadlineMs / 1000);
    const { wouldCut: cuts = null, retires: forecast = null } = release.retention ?? {};
    if (cuts !== null) wouldCut.set(labels, cuts);
    if (forecast) {
      retires.set({ ...labels, quantile: "0.1" }, forecast.lowMs / 1000);
      retires.set({ ...labels, quantile: "0.5" }, forecast.medianMs / 1000);
      retires.set({ ...labels, quantile: "0.9" }, forecast.highMs / 1000);
    }
    if (!status.router.linked) continue;
    for (const name of ["starting", "ready", "draining"] as const) {
      instances.set({ ...labels, state: name }, release.instances.filter((instance) => instance.state === name).length);
    }
  }
}

function observeTotals(status: StatusView, totals: readonly SessionTotals[], metric: Metric): void {
  const ended = new Counter(
    metric("holdover_sessions_ended_total", "Sessions that ended, by reason.", [...OF_RELEASE, "reason"]),
  );
  const disrupted = new Counter(
    metric("holdover_sessions_disrupted_total", "Sessions whose instance died under them.", OF_RELEASE),
  );
  const known = new Set(shown(status).map(({ service, release }) => `${service.name}/${release.id}`));
  for (const total of totals) {
    if (!known.has(`${total.service}/${total.release}`)) continue;
    const labels = { service: total.service, release: total.release };
    for (const [reason, count] of Object.entries(total.ended)) ended.inc({ ...labels, reason }, count);
    disrupted.inc(labels, total.disrupted);
  }
}

/** The releases that have series: all live ones, and the last of those that are over. */
function shown(status: StatusView) {
  return status.services.flatMap((service) => {
    const over = service.releases.filter(isOver).sort((a, b) => b.sinceMs - a.sinceMs);
    const left = new Set(over.slice(ENDED_RELEASES));
    return service.releases.filter((release) => !left.has(release)).map((release) => ({ service, release }));
  });
}

function isOver(release: ReleaseView): boolean {
  return release.state === "retired" || release.state === "failed";
}

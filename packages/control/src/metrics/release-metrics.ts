import type { EndReason, SessionTotals } from "@holdover/core";
import type { ReleaseView, RetirementView, ServiceView, StatusView } from "../api/views.ts";
import type { Scrape } from "./scrape.ts";

/** Releases of a service that have series at the most: the newest live ones, then the newest of those that are over. */
const RELEASES_MOST = 50;
/** Of these, how many may be over, so that their number does not grow for ever. */
const ENDED_RELEASES_MOST = 20;
/** Services that have series at the most. */
const SERVICES_MOST = 300;

const END_REASONS = ["hangup", "expired", "moved", "cut", "lost"] as const satisfies EndReason[];

const OF_RELEASE = ["service", "release"] as const;
type ReleaseLabels = Readonly<Record<(typeof OF_RELEASE)[number], string>>;

interface Shown {
  readonly labels: ReleaseLabels;
  readonly release: ReleaseView;
}

/** Sessions, instances and windows by release. The number of their series is bounded, and what is left out is told. */
export function tellReleases(scrape: Scrape, status: StatusView, totals: readonly SessionTotals[] | null): void {
  const services = status.services.slice(0, SERVICES_MOST);
  const shown = services.flatMap(releasesOf);
  tellSessions(scrape, shown);
  if (totals) tellEnds(scrape, shown, totals);
  const live = shown.filter(({ release }) => !isOver(release));
  tellStates(scrape, live, status.router.linked);
  tellWindows(scrape, live);
  const all = status.services.reduce((sum, { releases }) => sum + releases.length, 0);
  scrape.gauge(
    "holdover_releases_without_series",
    "Releases left out here, since they are too many.",
    all - shown.length,
  );
}

function tellSessions(scrape: Scrape, shown: readonly Shown[]): void {
  const sessions = scrape.gauges("holdover_sessions", "Sessions, by state.", [...OF_RELEASE, "state"]);
  const wedged = scrape.gauges(
    "holdover_sessions_wedged",
    "Open sessions of a retained release on which no byte has passed for long.",
    OF_RELEASE,
  );
  const connections = scrape.gauges(
    "holdover_connections",
    "Connections of clients to the sessions of a release.",
    OF_RELEASE,
  );
  for (const { labels, release } of shown) {
    if (!release.sessions) continue;
    sessions.add({ ...labels, state: "open" }, release.sessions.open);
    sessions.add({ ...labels, state: "lingering" }, release.sessions.lingering);
    wedged.add(labels, release.sessions.wedged);
    connections.add(labels, release.sessions.connections);
  }
}

function tellEnds(scrape: Scrape, shown: readonly Shown[], totals: readonly SessionTotals[]): void {
  const ended = scrape.counters("holdover_sessions_ended_total", "Sessions that ended, by reason.", [
    ...OF_RELEASE,
    "reason",
  ]);
  const disrupted = scrape.counters(
    "holdover_sessions_disrupted_total",
    "Sessions whose instance died under them.",
    OF_RELEASE,
  );
  const idOf = ({ service, release }: ReleaseLabels) => `${service}\n${release}`;
  const counted = new Map(totals.map((total) => [idOf(total), total]));
  for (const { labels } of shown) {
    // None is a zero here: for a series that began with its first end, `increase()` would not see that one.
    const total = counted.get(idOf(labels));
    for (const reason of END_REASONS) ended.add({ ...labels, reason }, total?.ended[reason] ?? 0);
    disrupted.add(labels, total?.disrupted ?? 0);
  }
}

function tellStates(scrape: Scrape, live: readonly Shown[], linked: boolean): void {
  const state = scrape.gauges("holdover_release_state", "1 for the state that a live release is in.", [
    ...OF_RELEASE,
    "state",
  ]);
  const instances = scrape.gauges("holdover_instances", "Instances alive, by state.", [...OF_RELEASE, "state"]);
  const wanted = scrape.gauges(
    "holdover_instances_wanted",
    "Instances that a release which takes new sessions is to have.",
    OF_RELEASE,
  );
  for (const { labels, release } of live) {
    state.add({ ...labels, state: release.state }, 1);
    if (release.admission === "new") wanted.add(labels, release.instancesWanted);
    if (!linked) continue;
    for (const name of ["starting", "ready", "draining"] as const) {
      const count = release.instances.filter((instance) => instance.state === name).length;
      instances.add({ ...labels, state: name }, count);
    }
  }
}

function tellWindows(scrape: Scrape, live: readonly Shown[]): void {
  const since = scrape.gauges(
    "holdover_release_retained_timestamp_seconds",
    "Unix time at which a retained release was replaced.",
    OF_RELEASE,
  );
  const deadline = scrape.gauges(
    "holdover_release_deadline_timestamp_seconds",
    "Unix time at which what is left on a release is ended.",
    OF_RELEASE,
  );
  const wouldCut = scrape.gauges(
    "holdover_release_would_cut_sessions",
    "Sessions that the deadline will cut, as an expectation.",
    OF_RELEASE,
  );
  const budget = scrape.gauges(
    "holdover_release_budget_sessions",
    "Sessions of a retained release that the disruption budget lets be cut.",
    OF_RELEASE,
  );
  const over = scrape.gauges(
    "holdover_release_over_budget_sessions",
    "Sessions of a retained release that are left above its disruption budget.",
    OF_RELEASE,
  );
  const retires = scrape.gauges(
    "holdover_release_retires_timestamp_seconds",
    "Unix time at which a release will have retired: the median of the forecast, and the ends of its 80% interval.",
    [...OF_RELEASE, "bound"],
  );
  for (const { labels, release } of live) {
    const { retention, sessions } = release;
    if (!retention) continue;
    if (release.state === "retained") since.add(labels, release.sinceMs / 1000);
    if (retention.deadlineMs !== null) deadline.add(labels, retention.deadlineMs / 1000);
    if (retention.wouldCut !== null) wouldCut.add(labels, retention.wouldCut);
    if (retention.allowedCuts !== undefined) {
      budget.add(labels, retention.allowedCuts);
      if (sessions) over.add(labels, Math.max(0, sessions.open + sessions.lingering - retention.allowedCuts));
    }
    for (const [bound, atMs] of boundsOf(retention.retires)) retires.add({ ...labels, bound }, atMs / 1000);
  }
}

function boundsOf(forecast: RetirementView | null): readonly (readonly [string, number])[] {
  if (!forecast) return [];
  return [
    ["low", forecast.lowMs],
    ["median", forecast.medianMs],
    ["high", forecast.highMs],
  ];
}

function releasesOf({ name, releases }: ServiceView): Shown[] {
  const newest = (some: readonly ReleaseView[], most: number) =>
    some.toSorted((a, b) => b.sinceMs - a.sinceMs).slice(0, most);
  const live = newest(
    releases.filter((release) => !isOver(release)),
    RELEASES_MOST,
  );
  const over = newest(releases.filter(isOver), Math.min(ENDED_RELEASES_MOST, RELEASES_MOST - live.length));
  const shown = new Set([...live, ...over]);
  return releases
    .filter((release) => shown.has(release))
    .map((release) => ({ labels: { service: name, release: release.id }, release }));
}

function isOver(release: ReleaseView): boolean {
  return release.state === "retired" || release.state === "failed";
}

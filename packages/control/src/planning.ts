import {
  forecastLeft,
  heldSessions,
  lengthQuantile,
  openSessions,
  outlookKey,
  isAlive,
  mustHaveCurrent,
  planDeploy,
  planRestart,
  releaseOf,
  shareLeft,
  type Clock,
  type DataPlane,
  type EndedSession,
  type LeftPoint,
  type Outlook,
  type Platform,
  type ReleaseRecord,
  type ServiceRecord,
  type SessionAges,
  type SessionHistory,
  type SessionLengths,
  HoldoverError,
} from "@holdover/core";
import type {
  DeployPlanView,
  ForecastView,
  LengthsView,
  RestartPlanView,
  RestartRequest,
  TailPoint,
} from "./api/forecast-views.ts";
import { spansOf } from "./known-lengths.ts";
import type { Outlooks } from "./outlooks.ts";
import { retentionView, retirementView, type Known } from "./status.ts";

/** Points of the curve of a forecast. */
const CURVE_POINTS = 60;
const HARDLY_ONE = 0.5;
/** How far back a hindcast looks, ms, and how many ended sessions it reads at the most. */
const HINDCAST_MS = 28 * 86_400_000;
const HINDCAST_SESSIONS = 100_000;
/** After a cutover: when the share of sessions that still hold the old release is told, ms. */
const TAIL_MS = [0, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240].map((minutes) => minutes * 60_000);

export interface PlanningOptions {
  readonly outlooks: Outlooks;
  readonly history: SessionHistory;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly clock: Clock;
}

/** What follows from how long sessions last, for whoever wants to know before something is done. Changes nothing. */
export class Planning {
  readonly #options: PlanningOptions;

  constructor(options: PlanningOptions) {
    this.#options = options;
  }

  /**
   * What is left of a release over time. Of one that takes new sessions: if it were replaced now.
   * @throws HoldoverError RELEASE_UNKNOWN, LINK_DOWN
   */
  async forecast(service: ServiceRecord, releaseId: string, known: Known): Promise<ForecastView> {
    const release = releaseOf(service, releaseId);
    const left = this.#sessionsOf(service, release);
    const { state } = release;
    const outlook = await this.#options.outlooks.ask(service, release, state.name === "retained" ? state.live : left);
    const outlooks = withOutlook(known, service, release, outlook);
    const retention = retentionView(service, release, { ...known, outlooks });
    const isOver = state.name === "retired" || state.name === "failed";
    return {
      service: service.name,
      release: release.id,
      state: state.name,
      nowMs: outlook.atMs,
      sessions: left,
      lengths: lengthsView(outlook.lengths),
      trials: outlook.trials,
      retention,
      retires: isOver ? null : (retention?.retires ?? retirementView(outlook, left ?? undefined, null)),
      left: curveOf(outlook),
    };
  }

  /**
   * What a deploy would mean for the release that is current now.
   * @throws HoldoverError NO_CURRENT_RELEASE, LINK_DOWN
   */
  async deployPlan(service: ServiceRecord): Promise<DeployPlanView> {
    const { outlooks, history, clock } = this.#options;
    const current = mustHaveCurrent(service);
    const left = this.#sessionsOf(service, current);
    const outlook = await outlooks.ask(service, current, left);
    const nowMs = clock.now();
    const sinceMs = nowMs - HINDCAST_MS;
    const ended = await history.ended({ service: service.name, sinceMs }, HINDCAST_SESSIONS);
    const plan = planDeploy({
      nowMs,
      policy: service.definition.retention,
      left: left ?? undefined,
      groups: outlook.groups,
      linger: outlook.linger,
      lengths: outlook.lengths,
      forecast: outlook.forecast,
      instances: current.definition.instances,
      history: spansSince(ended, await this.#ages(service), sinceMs, nowMs),
    });
    const { window, overlap } = plan;
    return {
      service: service.name,
      release: current.id,
      nowMs,
      sessions: left,
      lengths: lengthsView(outlook.lengths),
      allowedCuts: plan.allowed,
      window: {
        policy: service.definition.retention.policy,
        rule: window.rule,
        lastsMs: window.hardStopMs === null ? null : window.hardStopMs - nowMs,
        why: window.why,
      },
      oldLives: plan.oldLives ?? null,
      cutAtCeiling: plan.cutAtCeiling ?? null,
      instances: current.definition.instances,
      instanceHours: overlap.expected ?? null,
      instanceHoursMost: overlap.most,
      hours: plan.hours.map((hour) => ({ ...hour })),
      cheapest: plan.cheapest ?? null,
    };
  }

  /**
   * The share of the current sessions that would still hold the old release at some times after a cutover, with its normal
   * linger and with another; null where nobody can tell.
   */
  async tail(service: ServiceRecord, lingerMs: number): Promise<TailPoint[] | null> {
    const current = mustHaveCurrent(service);
    const { groups, linger } = await this.#options.outlooks.ask(service, current, null);
    if (!groups || openSessions(groups) + (linger.lingerers?.length ?? 0) === 0) return null;
    const share = (ms: number) => shareLeft(groups, ms, TAIL_MS, linger.lingerers);
    const prepared = share(lingerMs);
    return share(service.definition.session.linger).map(({ afterMs, median }, index) => ({
      afterMs,
      normal: median,
      prepared: prepared[index]?.median ?? median,
    }));
  }

  /**
   * What a rolling restart of the current release would do.
   * @throws HoldoverError NO_CURRENT_RELEASE, RESTART_INFEASIBLE, LINK_DOWN
   */
  async restartPlan(service: ServiceRecord, settings: RestartRequest): Promise<RestartPlanView> {
    const { outlooks, platform, dataPlane } = this.#options;
    const current = mustHaveCurrent(service);
    if (current.restart) {
      const problem = `release ${current.id} is being restarted already`;
      throw new HoldoverError("RESTART_INFEASIBLE", { problem, remedy: "Wait for it, or call it off with --cancel." });
    }
    const { batch, waitMs, graceMs = service.definition.retention.grace } = settings;
    const counts = dataPlane.counts();
    const own = platform.instances()?.filter((one) => one.service === service.name && isAlive(one));
    if (!counts || !own) throw new HoldoverError("LINK_DOWN");
    const ages = await dataPlane.ages({ service: service.name, by: "instance" });
    const lengths = await outlooks.lengths(service, ages);
    const plan = planRestart({
      instances: own
        .filter((one) => one.release === current.id)
        .toSorted((a, b) => a.startedAtMs - b.startedAtMs)
        .map(({ id }) => {
          const { open = 0, lingering = 0, connections = 0 } = counts.get(id) ?? {};
          const groups = ages.groups.filter((group) => group.instance === id);
          const jobs = groups.reduce((sum, group) => sum + group.jobs, 0);
          return { id, open, jobs: Math.min(jobs, open), lingering, connections, groups: lengths.groupsOf(groups) };
        }),
      batch,
      waitMs,
      graceMs,
      cap: { atOnce: service.definition.disconnects.atOnce, periodMs: service.definition.disconnects.period },
      connections: own.reduce((sum, { id }) => sum + (counts.get(id)?.connections ?? 0), 0),
      capacity: current.definition.capacity ?? null,
      lingerMs: service.definition.session.linger,
    });
    return {
      service: service.name,
      release: current.id,
      waitMs,
      graceMs,
      batches: plan.batches.map(({ instances, startsAfterMs, expectedMoved, connections, closingMs }) => ({
        instances: [...instances],
        startsAfterMs,
        expectedMoved: expectedMoved ?? null,
        connections,
        closingMs,
      })),
      expectedMs: plan.duration.expectedMs,
      mostMs: plan.duration.mostMs,
      expectedMoved: plan.expectedMoved ?? null,
      expectedCut: plan.expectedCut,
      mostCut: plan.mostCut,
    };
  }

  #ages(service: ServiceRecord): Promise<SessionAges> {
    return this.#options.dataPlane.ages({ service: service.name, by: "release" });
  }

  #sessionsOf(service: ServiceRecord, release: ReleaseRecord): number | null {
    const { platform, dataPlane } = this.#options;
    return heldSessions(service.name, release.id, { instances: platform.instances(), sessions: dataPlane.counts() });
  }
}

function withOutlook(
  known: Known,
  service: ServiceRecord,
  release: ReleaseRecord,
  outlook: Outlook,
): Known["outlooks"] {
  return new Map([...known.outlooks, [outlookKey(service.name, release.id), outlook]]);
}

function lengthsView(lengths: SessionLengths): LengthsView {
  if (lengths.kind === "unknown")
    return { known: false, ends: lengths.ends, why: lengths.why, medianMs: null, p95Ms: null };
  const { lengths: survival, why } = lengths;
  return {
    known: true,
    ends: survival.ends,
    why,
    medianMs: lengthQuantile(survival, 0.5) ?? null,
    p95Ms: lengthQuantile(survival, 0.95) ?? null,
  };
}

/** The curve from now until hardly a session is expected to be left, with more points where it begins: it falls fastest there. */
function curveOf(outlook: Outlook): ForecastView["left"] {
  const { atMs, forecast } = outlook;
  if (!outlook.groups || !forecast || forecast.highMs <= 0) return null;
  const whole = pointsUntil(outlook, 1.1 * forecast.highMs);
  const endMs = whole.find(({ high }) => high < HARDLY_ONE)?.afterMs ?? 1.1 * forecast.highMs;
  return pointsUntil(outlook, endMs).map(({ afterMs, low, median, high }) => ({
    atMs: Math.round(atMs + afterMs),
    low,
    median,
    high,
  }));
}

function pointsUntil({ groups = [], stretch, linger }: Outlook, endMs: number): LeftPoint[] {
  const times = Array.from({ length: CURVE_POINTS + 1 }, (_, index) => endMs * (index / CURVE_POINTS) ** 2);
  return forecastLeft(groups, times, stretch, linger);
}

function spansSince(ended: readonly EndedSession[], ages: SessionAges, sinceMs: number, nowMs: number) {
  const spans = spansOf(ended, ages.groups, nowMs);
  // Before the first session that is known nobody watched: that is no time without sessions.
  const watchedMs = spans.openedAtMs.reduce((first, at) => Math.min(first, at), nowMs);
  const readMs = ended.length < HINDCAST_SESSIONS ? sinceMs : (ended.at(-1)?.endedAtMs ?? nowMs);
  return { spans, sinceMs: Math.max(watchedMs, readMs) };
}

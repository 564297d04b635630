import type { Action } from "./action.ts";
import { isAlive, type Instance, type InstanceExit } from "./instance.ts";
import { formatDuration } from "./duration.ts";
import type { ReleaseRecord, ReleaseState, Restart, ServiceRecord } from "./release.ts";
import { expiring, ramping, ready, retired } from "./release.ts";
import { nextRestart, RESTARTED } from "./restart.ts";
import { beyondMost, retainedWindow, type Outlook } from "./retention.ts";
import { sessionsOn, type SessionCount } from "./session.ts";

/** All that a plan follows from. What is not known is null, and never taken for zero. */
export interface Observed {
  readonly nowMs: number;
  readonly services: readonly ServiceRecord[];
  /** Every instance the platform knows, ended ones of late included; null while the platform is out of reach. */
  readonly instances: readonly Instance[] | null;
  /** Sessions by instance, for instances that hold any; null while not every router has told. */
  readonly sessions: ReadonlyMap<string, SessionCount> | null;
  /** What is estimated of the sessions of a release, by {@link outlookKey}. */
  readonly outlooks: ReadonlyMap<string, Outlook>;
  /** The host is shutting down: nothing is to be started, stopped or promoted. */
  readonly closing: boolean;
}

/** The name of a release's outlook. */
export function outlookKey(service: string, release: string): string {
  return `${service}/${release}`;
}

/** A new release whose instances end this often before they are healthy has failed. */
const START_ATTEMPTS = 3;
/** An instance that was ready for this long was sound: the next failure starts the back-off from the beginning. */
const SOUND_AFTER_MS = 60_000;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MOST_MS = 30_000;
/** Snapshots of the last retired releases are kept, so that they can be deployed again without the build. */
const RETIRED_SNAPSHOTS_KEPT = 3;

/** When a plan would change by time alone, at the latest; the caller plans again then. */
export const REPLAN_EVERY_MS = 250;

/** The next steps for everything that is not yet as it should be. A pure function of what was observed. */
export function plan(observed: Observed): Action[] {
  const { instances } = observed;
  if (!instances || observed.closing) return [];
  return observed.services.flatMap((service) => {
    const actions = service.releases.flatMap((release) =>
      planRelease(
        service,
        release,
        instances.filter((one) => one.service === service.name && one.release === release.id && counts(one, release)),
        observed,
      ),
    );
    // A cutover may bring another policy into force: by that one windows are looked at, with the next plan.
    const cutsOver = actions.some((action) => action.do === "cutover");
    const now = cutsOver ? actions.filter((action) => !becomes(action, "expiring")) : actions;
    // A release that goes by itself leaves room for the others.
    const leavesRoom = cutsOver || now.some((action) => becomes(action, "expiring") || becomes(action, "retired"));
    return [
      ...now,
      ...(leavesRoom ? [] : planBeyondMost(service, observed.nowMs)),
      ...planSnapshots(service, instances),
    ];
  });
}

/** The oldest retained releases expire where more are retained than may be. */
function planBeyondMost(service: ServiceRecord, nowMs: number): Action[] {
  const { retention } = service.definition;
  return beyondMost(service.releases, retention).map(({ id }) => ({
    do: "transition",
    service: service.name,
    release: id,
    to: expiring(nowMs, nowMs + retention.grace),
    why: `${retention.maxRetained} ${retention.maxRetained === 1 ? "release" : "releases"} may be retained, and it is the oldest`,
  }));
}

function becomes(action: Action, state: ReleaseState["name"]): boolean {
  return action.do === "transition" && action.to.name === state;
}

/** What ended before the release was deployed (again) says nothing of this time. */
function counts(instance: Instance, release: ReleaseRecord): boolean {
  return isAlive(instance) || instance.startedAtMs >= release.createdAtMs;
}

function planRelease(
  service: ServiceRecord,
  release: ReleaseRecord,
  instances: Instance[],
  observed: Observed,
): Action[] {
  const { state } = release;
  switch (state.name) {
    case "starting":
      return planStarting(service, release, instances, observed.nowMs);
    case "ready":
      return [
        ...keepRunning(service, release, instances, observed.nowMs),
        ...planIntent(service, release, instances, observed.nowMs),
      ];
    case "ramping":
    case "current":
      return planServing(service, release, instances, observed);
    case "retained":
      return planRetained(service, release, instances, observed);
    case "expiring":
      return [
        ...stopEmpty(service, instances, observed, 0, "its window is over"),
        ...retireWhenGone(service, release, observed),
      ];
    case "retired":
    case "failed":
      return stopEmpty(service, instances, observed, 0, `release ${release.id} is ${state.name}`);
  }
}

function planStarting(service: ServiceRecord, release: ReleaseRecord, instances: Instance[], nowMs: number): Action[] {
  const at = { service: service.name, release: release.id };
  if (release.snapshot === null) return [{ do: "snapshot", ...at }];
  const failures = failuresOf(instances.filter((one) => one.startedAtMs >= release.state.sinceMs));
  const last = failures.at(-1);
  if (last && (failures.length >= START_ATTEMPTS || last.exit.error === "INSTANCE_UNHEALTHY")) {
    const { exit } = last;
    return [{ do: "fail", ...at, instance: last.id, code: exit.error ?? "INSTANCE_EXITED", problem: exit.problem }];
  }
  const warm = instances.filter((one) => one.state.name === "ready");
  const first = warm[0];
  if (!first || warm.length < release.definition.instances) return keepRunning(service, release, instances, nowMs);
  if (!release.formats) return [{ do: "formats", ...at }];
  if (release.definition.gate && !release.gatePassed) return [{ do: "gate", ...at, instance: first.id }];
  const count = `${warm.length} healthy ${warm.length === 1 ? "instance" : "instances"}`;
  return [
    { do: "transition", ...at, to: ready(nowMs), why: release.definition.gate ? `${count}, gate passed` : count },
  ];
}

function planIntent(service: ServiceRecord, release: ReleaseRecord, instances: Instance[], nowMs: number): Action[] {
  const at = { service: service.name, release: release.id };
  if (!instances.some((one) => one.state.name === "ready")) return [];
  switch (release.intent.then) {
    case "promote":
      return [{ do: "cutover", ...at, why: "deployed" }];
    case "ramp":
      return [{ do: "transition", ...at, to: ramping(nowMs, release.intent.percent), why: "deployed with a ramp" }];
    case "wait":
      return [];
  }
}

function planRetained(
  service: ServiceRecord,
  release: ReleaseRecord,
  instances: Instance[],
  observed: Observed,
): Action[] {
  const at = { service: service.name, release: release.id };
  const { nowMs, outlooks } = observed;
  const policy = service.definition.retention;
  const left = sessionsOn(instances, observed.sessions);
  const window = retainedWindow(release, policy, left, outlooks.get(outlookKey(service.name, release.id)), nowMs);
  const { verdict, why, deadlineMs } = window;
  if (verdict === "expire") return [{ do: "transition", ...at, to: expiring(nowMs, nowMs + policy.grace), why }];
  const said = release.state.name === "retained" ? release.state.deadlineMs : null;
  const isNews = deadlineMs !== null && (said === null || window.moved !== undefined);
  const news: Action[] = isNews ? [{ do: "deadline", ...at, deadlineMs, why }] : [];
  if (verdict === "retire") {
    return [
      ...news,
      ...stopEmpty(service, instances, observed, 0, "it is empty"),
      ...retireWhenGone(service, release, observed),
    ];
  }
  return [
    ...news,
    ...stopEmpty(service, instances, observed, 1, "it is empty"),
    ...keepRunning(service, release, instances, nowMs, 1),
  ];
}

/** Keeps a release that takes new sessions at its number of instances, while a restart replaces them or not. */
function planServing(
  service: ServiceRecord,
  release: ReleaseRecord,
  instances: Instance[],
  observed: Observed,
): Action[] {
  const { restart } = release;
  const { nowMs } = observed;
  if (!restart) {
    // A restart that was cut short, by a cutover or by word, leaves replacements of what then stayed.
    const wanted = release.definition.instances;
    return [
      ...keepRunning(service, release, instances, nowMs),
      ...stopEmpty(service, instances, observed, wanted, `${wanted} are wanted`),
    ];
  }
  const next = nextRestart(restart, instances, release.definition.instances, nowMs);
  const step: Action[] =
    next === restart
      ? []
      : [{ do: "restart", service: service.name, release: release.id, restart: next, why: whyRestart(next) }];
  const leaving = instances.filter((one) => restart.leaving.includes(one.id));
  const staying = instances.filter((one) => !restart.leaving.includes(one.id));
  return [
    ...step,
    ...keepRunning(service, release, staying, nowMs),
    ...(restart.leavingSinceMs === null ? [] : stopEmpty(service, leaving, observed, 0, "it is replaced")),
  ];
}

function whyRestart(next: Restart | null): string {
  if (!next) return RESTARTED;
  const names = next.leaving.join(", ");
  return next.leavingSinceMs === null ? `${names}: next to be replaced` : `${names}: replaced, no new session any more`;
}

/** Starts what is missing to `wanted` instances, one after another failure only after the back-off. */
function keepRunning(
  service: ServiceRecord,
  release: ReleaseRecord,
  instances: Instance[],
  nowMs: number,
  wanted = release.definition.instances,
): Action[] {
  const running = instances.filter((one) => one.state.name === "starting" || one.state.name === "ready").length;
  if (running >= wanted || nowMs < restartAtMs(instances)) return [];
  return Array.from({ length: wanted - running }, (_, index) => ({
    do: "start" as const,
    service: service.name,
    release: release.id,
    ordinal: release.nextOrdinal + index,
  }));
}

/** When the next instance may be started: twice as long after each failure in a row, 200 ms to 30 s. */
function restartAtMs(instances: readonly Instance[]): number {
  let failures = 0;
  let lastMs = 0;
  for (const { exit, readyAtMs } of failuresOf(instances)) {
    const wasSound = readyAtMs > 0 && exit.atMs - readyAtMs >= SOUND_AFTER_MS;
    failures = wasSound ? 1 : failures + 1;
    lastMs = exit.atMs;
  }
  if (failures === 0) return 0;
  return lastMs + Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
}

/** Instances that ended by themselves, in the order in which they did: one started early may end last. */
function failuresOf(instances: readonly Instance[]): { id: string; exit: InstanceExit; readyAtMs: number }[] {
  return instances
    .flatMap(({ id, state, readyAtMs }) => (state.name === "lost" ? [{ id, exit: state.exit, readyAtMs }] : []))
    .toSorted((a, b) => a.exit.atMs - b.exit.atMs);
}

/**
 * Stops the instances that hold no session, but leaves `atLeast` running: a ready one rather than one that still starts.
 * One that is draining is on its way out: it neither counts as running nor is it stopped again.
 */
function stopEmpty(
  service: ServiceRecord,
  instances: Instance[],
  observed: Observed,
  atLeast: number,
  why: string,
): Action[] {
  const { sessions } = observed;
  if (!sessions) return [];
  const running = instances.filter((one) => one.state.name === "starting" || one.state.name === "ready");
  const spare = running
    .filter((one) => !sessions.has(one.id))
    .toSorted((a, b) => Number(a.state.name === "ready") - Number(b.state.name === "ready"));
  const most = Math.max(0, running.length - atLeast);
  return spare.slice(0, most).map((one) => ({
    do: "stop",
    service: service.name,
    instance: one.id,
    graceMs: service.definition.stopGrace,
    why,
  }));
}

/** Retired is what has no session and no instance; both must be known (DESIGN, States). */
function retireWhenGone(service: ServiceRecord, release: ReleaseRecord, observed: Observed): Action[] {
  const { sessions, instances } = observed;
  if (!sessions || !instances) return [];
  const own = instances.filter((one) => one.service === service.name && one.release === release.id);
  if (own.some((one) => isAlive(one) || sessions.has(one.id))) return [];
  // Sessions on an instance that the platform does not know could be of any release: whose they are is unknown, not zero.
  const known = new Set(instances.map((one) => one.id));
  if ([...sessions.keys()].some((id) => !known.has(id))) return [];
  const lasted = formatDuration(observed.nowMs - release.state.sinceMs);
  return [
    {
      do: "transition",
      service: service.name,
      release: release.id,
      to: retired(observed.nowMs),
      why: `no session and no instance left after ${lasted}`,
    },
  ];
}

function planSnapshots(service: ServiceRecord, instances: readonly Instance[]): Action[] {
  const inUse = (id: string) =>
    instances.some((one) => one.service === service.name && one.release === id && isAlive(one));
  const gone = service.releases
    .filter(
      (release) => (release.state.name === "retired" || release.state.name === "failed") && release.snapshot !== null,
    )
    .filter((release) => !inUse(release.id))
    .toSorted((a, b) => b.state.sinceMs - a.state.sinceMs);
  return gone
    .slice(RETIRED_SNAPSHOTS_KEPT)
    .map((release) => ({ do: "remove-snapshot", service: service.name, release: release.id }));
}

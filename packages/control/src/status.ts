import {
  admissionOf,
  allowedCuts,
  currentRelease,
  heldSessions,
  isAlive,
  lingerAt,
  outlookKey,
  retainedWindow,
  type Instance,
  type Outlook,
  type ReleaseRecord,
  type ServiceRecord,
  type SessionCount,
} from "@holdover/core";
import { reportView } from "./format-gate.ts";
import type { InstanceView, ReleaseView, RetirementView, ServiceView } from "./api/views.ts";

/** What is shown of what is known. An unknown count is null, in every view, and never zero. */
export interface Known {
  readonly nowMs: number;
  readonly instances: readonly Instance[] | null;
  readonly sessions: ReadonlyMap<string, SessionCount> | null;
  readonly outlooks: ReadonlyMap<string, Outlook>;
}

const NONE: SessionCount = { open: 0, lingering: 0, connections: 0, wedged: 0 };

export function serviceView(service: ServiceRecord, known: Known): ServiceView {
  const releases = service.releases.map((release) => releaseView(service, release, known));
  return {
    name: service.name,
    hosts: service.definition.hosts,
    path: service.definition.path,
    current: currentRelease(service)?.id ?? null,
    sessions: sum(releases.map((release) => release.sessions)),
    releases,
  };
}

export function releaseView(service: ServiceRecord, release: ReleaseRecord, known: Known): ReleaseView {
  const { state } = release;
  const instances = (known.instances ?? [])
    .filter((one) => one.service === service.name && one.release === release.id && isAlive(one))
    .map((one) => instanceView(one, known));
  return {
    id: release.id,
    service: service.name,
    state: state.name,
    sinceMs: state.sinceMs,
    createdAtMs: release.createdAtMs,
    currentAtMs: release.currentAtMs,
    admission: admissionOf(state),
    percent: state.name === "current" ? 100 : state.name === "ramping" ? state.percent : 0,
    then: release.intent.then,
    dir: release.dir,
    digest: release.digest,
    instancesWanted: release.definition.instances,
    instances,
    sessions: known.instances === null || known.sessions === null ? null : sum(instances.map((one) => one.sessions)),
    lingerMs: lingerAt(release.preparation, service.definition.session.linger, known.nowMs),
    preparation: release.preparation,
    restart: release.restart && {
      ...release.restart,
      waiting: [...release.restart.waiting],
      leaving: [...release.restart.leaving],
    },
    retention: retentionView(service, release, known),
    problem: problemOf(service.name, release, known),
    ...(release.formats && release.formats.formats.length > 0 && { formats: reportView(release.formats) }),
    failure: state.name === "failed" ? { ...state.failure, log: [...state.failure.log] } : null,
  };
}

/** A release that takes new sessions and is short of instances says what ended the last one. */
function problemOf(service: string, release: ReleaseRecord, known: Known): string | null {
  if (admissionOf(release.state) !== "new" || known.instances === null) return null;
  const { restart } = release;
  const own = known.instances.filter(
    (one) => one.service === service && one.release === release.id && !restart?.leaving.includes(one.id),
  );
  const ready = own.filter((one) => one.state.name === "ready").length;
  const wanted = release.definition.instances;
  if (ready >= wanted) return null;
  const exits = own.flatMap(({ id, state }) => (state.name === "lost" ? [{ id, ...state.exit }] : []));
  const last = exits.toSorted((a, b) => b.atMs - a.atMs)[0];
  // That replacements start is what a restart does; that one has ended is a problem.
  if (restart && (!last || last.atMs < restart.sinceMs)) return null;
  return `${ready} of ${wanted} instances are ready${last ? `; ${last.id} ended: ${last.problem}` : ""}`;
}

export function instanceView(instance: Instance, known: Known): InstanceView {
  const { state } = instance;
  return {
    id: instance.id,
    service: instance.service,
    release: instance.release,
    state: state.name,
    sinceMs: state.sinceMs,
    startedAtMs: instance.startedAtMs,
    address: `${instance.host}:${instance.port}`,
    pid: instance.pid,
    sessions: known.sessions === null ? null : (known.sessions.get(instance.id) ?? NONE),
    problem: state.name === "lost" || state.name === "stopped" ? state.exit.problem : null,
  };
}

/** A window that is over or never begins rests on no sessions; what it cuts is what is left. */
export function retentionView(service: ServiceRecord, release: ReleaseRecord, known: Known): ReleaseView["retention"] {
  const { state } = release;
  const { nowMs } = known;
  const policy = service.definition.retention;
  const left = heldSessions(service.name, release.id, known) ?? undefined;
  if (state.name === "expiring") {
    const why =
      nowMs < state.graceUntilMs
        ? "its window is over: what is left is asked to move"
        : "its grace is over: what is left is cut";
    return {
      policy: policy.policy,
      rule: "grace",
      deadlineMs: state.graceUntilMs,
      hardStopMs: state.graceUntilMs,
      floorUntilMs: 0,
      fromSessions: 0,
      wouldCut: left ?? null,
      retires: null,
      why,
    };
  }
  if (state.name !== "retained") return null;
  const outlook = known.outlooks.get(outlookKey(service.name, release.id));
  const window = retainedWindow(release, policy, left, outlook, nowMs);
  return {
    policy: policy.policy,
    rule: window.rule,
    deadlineMs: window.deadlineMs,
    hardStopMs: window.hardStopMs,
    floorUntilMs: window.floorUntilMs,
    fromSessions: window.fromSessions,
    ...(policy.policy === "budget" && { allowedCuts: allowedCuts(policy.disruptionBudget, state.live) }),
    wouldCut: window.wouldCut ?? null,
    retires: retirementView(outlook, left, window.rule === "forecast" ? null : window.deadlineMs),
    why: window.why,
  };
}

/**
 * When a release will have retired; null where nobody can tell.
 * @param deadlineMs epoch time at which its window ends whatever is live; null: the forecast has that in it
 */
export function retirementView(
  outlook: Outlook | undefined,
  left: number | undefined,
  deadlineMs: number | null,
): RetirementView | null {
  if (!outlook?.forecast || left === undefined) return null;
  const { lowMs, medianMs, highMs, known } = outlook.forecast;
  const at = (ms: number) => Math.min(deadlineMs ?? Infinity, Math.round(outlook.atMs + ms));
  return { lowMs: at(lowMs), medianMs: at(medianMs), highMs: at(highMs), known };
}

function sum(counts: readonly (SessionCount | null)[]): SessionCount | null {
  let total = NONE;
  for (const count of counts) {
    if (count === null) return null;
    total = {
      open: total.open + count.open,
      lingering: total.lingering + count.lingering,
      connections: total.connections + count.connections,
      wedged: total.wedged + count.wedged,
    };
  }
  return total;
}

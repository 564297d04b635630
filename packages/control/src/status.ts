import {
  admissionOf,
  currentRelease,
  isAlive,
  retentionOf,
  type Instance,
  type ReleaseRecord,
  type ServiceRecord,
  type SessionCount,
} from "@holdover/core";
import type { InstanceView, ReleaseView, ServiceView } from "./api/views.ts";

/** What is shown of what is known. An unknown count is null, in every view, and never zero. */
export interface Known {
  readonly nowMs: number;
  readonly instances: readonly Instance[] | null;
  readonly sessions: ReadonlyMap<string, SessionCount> | null;
}

const NONE: SessionCount = { open: 0, lingering: 0, connections: 0 };

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
    retention: retentionView(service, release, known.nowMs),
    problem: problemOf(service.name, release, known),
    failure: state.name === "failed" ? { ...state.failure, log: [...state.failure.log] } : null,
  };
}

/** A release that takes new sessions and is short of instances says what ended the last one. */
function problemOf(service: string, release: ReleaseRecord, known: Known): string | null {
  if (admissionOf(release.state) !== "new" || known.instances === null) return null;
  const own = known.instances.filter((one) => one.service === service && one.release === release.id);
  const ready = own.filter((one) => one.state.name === "ready").length;
  const wanted = release.definition.instances;
  if (ready >= wanted) return null;
  const exits = own.flatMap(({ id, state }) => (state.name === "lost" ? [{ id, ...state.exit }] : []));
  const last = exits.toSorted((a, b) => b.atMs - a.atMs)[0];
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

function retentionView(service: ServiceRecord, release: ReleaseRecord, nowMs: number): ReleaseView["retention"] {
  const { state } = release;
  if (state.name === "expiring") {
    const why =
      nowMs < state.graceUntilMs
        ? "its window is over: what is left is asked to move"
        : "its grace is over: what is left is cut";
    return { deadlineMs: state.graceUntilMs, floorUntilMs: 0, why };
  }
  if (state.name !== "retained") return null;
  const { deadlineMs, floorUntilMs, why } = retentionOf(release, service.definition.retention, nowMs);
  return { deadlineMs, floorUntilMs, why };
}

function sum(counts: readonly (SessionCount | null)[]): SessionCount | null {
  let total = NONE;
  for (const count of counts) {
    if (count === null) return null;
    total = {
      open: total.open + count.open,
      lingering: total.lingering + count.lingering,
      connections: total.connections + count.connections,
    };
  }
  return total;
}

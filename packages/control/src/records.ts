import {
  findingsOf,
  HoldoverError,
  RESTARTED,
  type AuditDraft,
  type FormatTrialReport,
  type Instance,
  type Preparation,
  type ReleaseRecord,
  type ReleaseState,
  type ReleaseStore,
  type Restart,
  type ServiceRecord,
} from "@holdover/core";
import { findingsText, trialNumbers } from "./format-gate.ts";

/** Who wants a change, and why: in the audit entry of every state that it changes. */
export interface Cause {
  readonly atMs: number;
  readonly actor: string;
  readonly reason: string;
}

/**
 * Services, releases and instances as they are stored. Nothing here changes without its audit entry: entries are made
 * by comparing what was with what is to be, so none can be forgotten (rule 7).
 */
export class Records {
  readonly #store: ReleaseStore;
  #services = new Map<string, ServiceRecord>();
  #instances: readonly Instance[] = [];
  #tableNumber = 0;

  constructor(store: ReleaseStore) {
    this.#store = store;
  }

  async load(): Promise<void> {
    this.#services = new Map((await this.#store.services()).map((service) => [service.name, service]));
    this.#instances = await this.#store.instances();
    this.#tableNumber = await this.#store.tableNumber();
  }

  services(): ServiceRecord[] {
    return [...this.#services.values()];
  }

  find(name: string): ServiceRecord | undefined {
    return this.#services.get(name);
  }

  /** @throws HoldoverError SERVICE_UNKNOWN */
  service(name: string): ServiceRecord {
    const service = this.#services.get(name);
    if (service) return service;
    throw this.unknown(name);
  }

  unknown(name: string): HoldoverError {
    const known = [...this.#services.keys()].join(", ") || "none yet";
    return new HoldoverError("SERVICE_UNKNOWN", { service: name, known });
  }

  tableNumber(): number {
    return this.#tableNumber;
  }

  /**
   * Stores a service as it is to be, with an entry for each state that changes.
   * @param through what it is in between, where one change takes a release through several states
   * @throws HoldoverError STORE_FAILED; then nothing has changed
   */
  async save(next: ServiceRecord, cause: Cause, through: readonly ServiceRecord[] = []): Promise<void> {
    let before = this.#services.get(next.name);
    const entries = [...through, next].flatMap((step) => {
      const made = serviceEntries(before, step, cause);
      before = step;
      return made;
    });
    const services = new Map(this.#services).set(next.name, next);
    // The store replaces the whole list: what is left out is gone.
    await this.#store.saveServices([...services.values()], entries);
    this.#services = services;
  }

  /** Stores the instances as they are now, if any of them changed. */
  async sawInstances(seen: readonly Instance[], atMs: number): Promise<void> {
    const before = new Map(this.#instances.map((instance) => [instance.id, instance]));
    const entries = seen.flatMap((instance) => instanceEntries(before.get(instance.id), instance, atMs));
    if (entries.length === 0 && seen.length === this.#instances.length) return;
    await this.#store.saveInstances(seen, entries);
    this.#instances = seen;
  }

  async issueTable(number: number, cause: Cause): Promise<void> {
    await this.#store.saveTableNumber(number, [{ ...cause, kind: "table.issued", detail: { number } }]);
    this.#tableNumber = number;
  }
}

function serviceEntries(before: ServiceRecord | undefined, next: ServiceRecord, cause: Cause): AuditDraft[] {
  const service = next.name;
  const entries: AuditDraft[] = [];
  if (!before) entries.push({ ...cause, kind: "service.declared", service });
  else if (JSON.stringify(before.definition) !== JSON.stringify(next.definition)) {
    entries.push({ ...cause, kind: "service.changed", service });
  }
  const known = new Map(before?.releases.map((release) => [release.id, release]));
  return [
    ...entries,
    ...next.releases.flatMap((release) => releaseEntries(service, known.get(release.id), release, cause)),
  ];
}

function releaseEntries(
  service: string,
  before: ReleaseRecord | undefined,
  next: ReleaseRecord,
  cause: Cause,
): AuditDraft[] {
  const at = { ...cause, service, release: next.id };
  const entries: AuditDraft[] = [];
  if (next.digest !== null && before?.digest !== next.digest) {
    entries.push({ ...at, kind: "release.snapshot", detail: { digest: next.digest } });
  }
  if (next.snapshot === null && before?.snapshot && next.state === before.state) {
    entries.push({ ...at, kind: "release.snapshot-removed" });
  }
  if (next.formats && !before?.formats) entries.push(...formatEntries(at, next, next.formats));
  if (next.gatePassed && before && !before.gatePassed) entries.push({ ...at, kind: "release.gate-passed" });
  return [
    ...entries,
    ...stateEntries(at, before?.state, next.state),
    ...restartEntries(at, before?.restart ?? null, next.restart),
    ...preparationEntries(at, before?.preparation ?? null, next.preparation),
  ];
}

/** An entry before it is known what it tells. */
type Untold = Omit<AuditDraft, "kind" | "detail">;

function stateEntries(at: Untold, before: ReleaseState | undefined, state: ReleaseState): AuditDraft[] {
  if (JSON.stringify(before) === JSON.stringify(state)) return [];
  if (before?.name === "retained" && state.name === "retained" && before.sinceMs === state.sinceMs) {
    return [{ ...at, kind: "release.deadline", detail: { fromMs: before.deadlineMs, toMs: state.deadlineMs } }];
  }
  const detail: Record<string, string | number | null> = before ? { from: before.name } : {};
  if (state.name === "ramping") detail["percent"] = state.percent;
  if (state.name === "retained") detail["live"] = state.live;
  if (state.name === "expiring") detail["graceUntilMs"] = state.graceUntilMs;
  if (state.name === "failed") detail["code"] = state.failure.code;
  const entry: AuditDraft = { ...at, kind: `release.${state.name}`, detail };
  return before?.name === "retained" && state.name === "current"
    ? [entry, { ...at, kind: "release.rolled-back" }]
    : [entry];
}

/** Of a service that keeps nothing there is nothing to tell. */
function formatEntries(at: Untold, next: ReleaseRecord, report: FormatTrialReport): AuditDraft[] {
  if (report.formats.length === 0) return [];
  const tried: AuditDraft = { ...at, kind: "gate.formats", detail: trialNumbers(report) };
  const lost = findingsOf(report, "back");
  if (lost.length === 0 || !next.allowStateLoss) return [tried];
  const detail = { override: "allow-state-loss", problem: findingsText(lost) };
  return [tried, { ...at, kind: "override.used", actor: next.deployedBy, detail }];
}

function restartEntries(at: Untold, before: Restart | null, next: Restart | null): AuditDraft[] {
  if (JSON.stringify(before) === JSON.stringify(next)) return [];
  if (!next) return [{ ...at, kind: at.reason === RESTARTED ? "release.restarted" : "release.restart-cancelled" }];
  const { batch, waitMs, graceMs, leaving, leavingSinceMs } = next;
  if (!before) return [{ ...at, kind: "release.restarting", detail: { batch, waitMs, graceMs } }];
  const detail = { instances: leaving.join(", "), sinceMs: leavingSinceMs };
  return [{ ...at, kind: "release.replacing", detail }];
}

function preparationEntries(at: Untold, before: Preparation | null, next: Preparation | null): AuditDraft[] {
  if (JSON.stringify(before) === JSON.stringify(next)) return [];
  if (!next) return [{ ...at, kind: "release.unprepared" }];
  return [{ ...at, kind: "release.prepared", detail: { untilMs: next.untilMs, lingerMs: next.lingerMs } }];
}

function instanceEntries(before: Instance | undefined, next: Instance, atMs: number): AuditDraft[] {
  const { state } = next;
  if (before?.state.name === state.name) return [];
  const draft = (name: Instance["state"]["name"], reason: string, sinceMs: number): AuditDraft => ({
    atMs,
    kind: `instance.${name}`,
    actor: "platform",
    reason,
    service: next.service,
    release: next.release,
    instance: next.id,
    detail: { pid: next.pid, sinceMs },
  });
  const entries: AuditDraft[] = [];
  let was = before?.state.name ?? "not there";
  // What it went through between two looks has happened all the same.
  if (!before && state.name !== "starting") {
    entries.push(draft("starting", `it was ${was}`, next.startedAtMs));
    was = "starting";
  }
  if (was === "starting" && next.readyAtMs > 0 && state.name !== "ready") {
    entries.push(draft("ready", `it was ${was}`, next.readyAtMs));
    was = "ready";
  }
  const ended = state.name === "lost" || state.name === "stopped";
  return [...entries, draft(state.name, ended ? state.exit.problem : `it was ${was}`, state.sinceMs)];
}

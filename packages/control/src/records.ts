import {
  HoldoverError,
  type AuditDraft,
  type Instance,
  type ReleaseRecord,
  type ReleaseStore,
  type ServiceRecord,
} from "@holdover/core";

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
    const known = [...this.#services.keys()].join(", ") || "none yet";
    throw new HoldoverError("SERVICE_UNKNOWN", { service: name, known });
  }

  tableNumber(): number {
    return this.#tableNumber;
  }

  /** Stores a service as it is to be, with an entry for each state that changes. */
  async save(next: ServiceRecord, cause: Cause): Promise<void> {
    const before = this.#services.get(next.name);
    await this.#store.saveServices([next], serviceEntries(before, next, cause));
    this.#services.set(next.name, next);
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
  if (next.gatePassed && before && !before.gatePassed) entries.push({ ...at, kind: "release.gate-passed" });
  if (JSON.stringify(before?.state) !== JSON.stringify(next.state)) {
    const { state } = next;
    const detail: Record<string, string | number> = before ? { from: before.state.name } : {};
    if (state.name === "ramping") detail["percent"] = state.percent;
    if (state.name === "expiring") detail["graceUntilMs"] = state.graceUntilMs;
    if (state.name === "failed") detail["code"] = state.failure.code;
    entries.push({ ...at, kind: `release.${state.name}`, detail });
  }
  return entries;
}

function instanceEntries(before: Instance | undefined, next: Instance, atMs: number): AuditDraft[] {
  if (before?.state.name === next.state.name) return [];
  const { state } = next;
  const exit = state.name === "lost" || state.name === "stopped" ? state.exit : null;
  return [
    {
      atMs,
      kind: `instance.${state.name}`,
      actor: "platform",
      reason: exit ? exit.problem : `it was ${before?.state.name ?? "not there"}`,
      service: next.service,
      release: next.release,
      instance: next.id,
      detail: { pid: next.pid, sinceMs: state.sinceMs },
    },
  ];
}

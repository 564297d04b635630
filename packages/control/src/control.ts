import {
  asHoldoverError,
  cutover,
  currentRelease,
  expiring,
  HoldoverError,
  isAlive,
  plan,
  previousRelease,
  ramping,
  releaseOf,
  REPLAN_EVERY_MS,
  retained,
  retired,
  routedServices,
  serviceDefinition,
  starting,
  transition,
  withRelease,
  type AuditDraft,
  type AuditLog,
  type Clock,
  type DataPlane,
  type EndedSession,
  type LiveSession,
  type Platform,
  type ReleaseRecord,
  type ReleaseStore,
  type RoutingTable,
  type ServiceDefinition,
  type ServiceRecord,
  type SessionEvent,
  type SessionHistory,
  type SessionQuery,
} from "@holdover/core";
import type { DeployRequest, InstanceView, ReleaseView, RollbackRequest, StatusView } from "./api/views.ts";
import type { Builds } from "./builds.ts";
import { Executor } from "./executor.ts";
import type { Operations } from "./operations.ts";
import { Records, type Cause } from "./records.ts";
import { instanceView, releaseView, serviceView, type Known } from "./status.ts";

/** What an operator's word to retire leaves to sessions, ms, where the policy has no grace of its own. */
const DEFAULT_GRACE_MS = 30_000;

export interface ControlOptions {
  readonly releases: ReleaseStore;
  readonly audit: AuditLog;
  readonly history: SessionHistory;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly linked: () => boolean;
  readonly builds: Builds;
  readonly clock: Clock;
  readonly version: string;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/**
 * The control plane: observe, plan, execute, over and over. It keeps nothing that is not stored, so that one that was
 * killed in the middle of a deploy goes on with it when it is started again.
 */
export class Control implements Operations {
  readonly #options: ControlOptions;
  readonly #records: Records;
  readonly #executor: Executor;
  readonly #startedAtMs: number;
  /** Changes run one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #stepWanted = false;
  #stopped = false;
  #cancelTimer: () => void = () => {};
  readonly #unsubscribe: (() => void)[] = [];
  /** The table in force, or on its way there; null until this process has issued one. */
  #table: RoutingTable | null = null;
  #closingNoted = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now();
    this.#records = new Records(options.releases);
    this.#executor = new Executor({
      records: this.#records,
      platform: options.platform,
      dataPlane: options.dataPlane,
      builds: options.builds,
      clock: options.clock,
      exclusive: (change) => this.#exclusive(change),
      log: options.log,
    });
  }

  /** Reads what is stored, takes in the declared services, and begins. */
  async start(declared: Readonly<Record<string, ServiceDefinition>>): Promise<void> {
    const { platform, dataPlane, history } = this.#options;
    await this.#records.load();
    await this.#declare(declared);
    this.#unsubscribe.push(
      platform.subscribe(() => this.#wake()),
      dataPlane.subscribe(() => this.#wake()),
      dataPlane.onEvents(async (host, events) => {
        await history.record(host, events, auditOf);
      }),
    );
    this.#keepTime();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#last;
    await this.#executor.settled();
  }

  status(): StatusView {
    const { dataPlane, linked, version } = this.#options;
    const known = this.#known();
    return {
      nowMs: known.nowMs,
      version,
      startedAtMs: this.#startedAtMs,
      router: {
        linked: linked(),
        address: dataPlane.address(),
        closing: dataPlane.closing(),
        tableIssued: this.#records.tableNumber(),
        tableInForce: dataPlane.tableInForce(),
      },
      services: this.#records.services().map((service) => serviceView(service, known)),
    };
  }

  release(serviceName: string, releaseId: string): ReleaseView {
    const service = this.#records.service(serviceName);
    return releaseView(service, releaseOf(service, releaseId), this.#known());
  }

  deploy(serviceName: string, request: DeployRequest, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, request.release, async () => {
      const definition = request.definition === undefined ? null : readDefinition(serviceName, request.definition);
      const service =
        this.#records.find(serviceName) ?? (definition && { name: serviceName, definition, releases: [] });
      if (!service) return void this.#records.service(serviceName);
      refuseSecondDeploy(service);
      if (request.then.then === "ramp" && !currentRelease(service)) {
        const problem = `Service ${serviceName} has no current release that the rest of the sessions could go to.`;
        throw new HoldoverError("REQUEST_INVALID", { problem });
      }
      const release = await this.#newRelease(
        { ...service, definition: definition ?? service.definition },
        request,
        actor,
      );
      const reason = `deploy of ${release.dir}`;
      await this.#save(withRelease(service, release), actor, reason);
    });
  }

  promote(serviceName: string, releaseId: string, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, releaseId, async () => {
      const service = this.#records.service(serviceName);
      const next = cutover(service, releaseId, this.#now());
      this.#mustBeWarm(service, releaseId);
      await this.#save(next, actor, `${releaseId} was promoted`);
    });
  }

  ramp(serviceName: string, releaseId: string, percent: number, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, releaseId, async () => {
      const service = this.#records.service(serviceName);
      const release = transition(releaseOf(service, releaseId), ramping(this.#now(), percent));
      this.#mustBeWarm(service, releaseId);
      await this.#save(withRelease(service, release), actor, `${releaseId} takes ${percent}% of the new sessions`);
    });
  }

  async rollback(serviceName: string, request: RollbackRequest, actor: string): Promise<ReleaseView> {
    const service = this.#records.service(serviceName);
    const to = request.to ?? previousRelease(service)?.id;
    if (to === undefined) throw new HoldoverError("NO_PREVIOUS_RELEASE", { service: serviceName });
    return this.#operation(serviceName, to, async () => {
      const nowMs = this.#now();
      const before = this.#records.service(serviceName);
      const left = currentRelease(before)?.id;
      const next = cutover(before, to, nowMs);
      this.#mustBeWarm(before, to);
      const cut = request.sessions === "cut" && left !== undefined && left !== to;
      const after = cut ? withRelease(next, transition(releaseOf(next, left), expiring(nowMs, nowMs))) : next;
      await this.#save(after, actor, `rollback to ${to}${cut ? `, cutting the sessions of ${left}` : ""}`);
    });
  }

  retire(serviceName: string, releaseId: string, now: boolean, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, releaseId, async () => {
      const service = this.#records.service(serviceName);
      const release = retire(service, releaseOf(service, releaseId), now, this.#now());
      await this.#save(
        withRelease(service, release),
        actor,
        now ? "retired by word, cutting what is live" : "retired by word",
      );
    });
  }

  instances(): InstanceView[] {
    const known = this.#known();
    if (known.instances === null) throw new HoldoverError("LINK_DOWN");
    return known.instances
      .toSorted((a, b) => Number(isAlive(b)) - Number(isAlive(a)) || a.startedAtMs - b.startedAtMs)
      .map((instance) => instanceView(instance, known));
  }

  sessions(query: SessionQuery): Promise<LiveSession[]> {
    if (query.service !== undefined) this.#records.service(query.service);
    return this.#options.dataPlane.sessions(query);
  }

  history(filter: { service?: string; release?: string }, limit: number): Promise<EndedSession[]> {
    return this.#options.history.ended(filter, limit);
  }

  async logs(serviceName: string, releaseId: string, instance: string | undefined, lines: number): Promise<string[]> {
    const { platform, builds } = this.#options;
    releaseOf(this.#records.service(serviceName), releaseId);
    const all = (platform.instances() ?? []).filter((one) => one.service === serviceName && one.release === releaseId);
    const wanted = instance === undefined ? all : all.filter((one) => one.id === instance);
    if (instance !== undefined && wanted.length === 0) throw new HoldoverError("INSTANCE_UNKNOWN", { instance });
    const sources = wanted.map((one) => ({ name: one.id, file: one.logFile }));
    if (instance === undefined) sources.push({ name: "gate", file: builds.gateLog(serviceName, releaseId) });
    const found = await Promise.all(
      sources.map(async ({ name, file }) => ({ name, lines: await builds.tail(file, lines) })),
    );
    const written = found.filter((source) => source.lines.length > 0);
    if (written.length === 1) return written[0]?.lines ?? [];
    return written.flatMap((source) => source.lines.map((line) => `${source.name} | ${line}`));
  }

  async shutdown(now: boolean, actor: string): Promise<void> {
    const { audit, dataPlane } = this.#options;
    await this.#exclusive(async () => {
      const reason = now ? "down, cutting what is live" : "down";
      await audit.append([{ ...this.#cause(actor, reason), kind: "host.closing" }]);
      this.#closingNoted = true;
      await dataPlane.shutdown(now);
    });
  }

  /** Why nothing can be changed now; null when it can. */
  notReady(): string | null {
    if (!this.#options.linked()) return "the host is not linked yet";
    if (this.#options.dataPlane.tableInForce() === null) return "the router has not told which table it follows";
    return this.#table === null ? "the first routing table is not issued yet" : null;
  }

  async #declare(declared: Readonly<Record<string, ServiceDefinition>>): Promise<void> {
    for (const [name, definition] of Object.entries(declared)) {
      const known = this.#records.find(name);
      const service: ServiceRecord = known ? { ...known, definition } : { name, definition, releases: [] };
      if (known && JSON.stringify(known.definition) === JSON.stringify(definition)) continue;
      await this.#save(service, "control", "declared in holdover.yaml");
      if (service.releases.length > 0 || definition.dir === undefined) continue;
      const request: DeployRequest = {
        release: definition.release ?? "v1",
        dir: definition.dir,
        then: { then: "promote" },
      };
      const release = await this.#newRelease(service, request, "control");
      await this.#save(withRelease(service, release), "control", "the first release, from holdover.yaml");
    }
  }

  /** A change by word: stored and in force when it resolves. */
  async #operation(service: string, release: string, change: () => Promise<void>): Promise<ReleaseView> {
    await this.#exclusive(async () => {
      await change();
      await this.#publish();
    });
    this.#wake();
    return this.release(service, release);
  }

  /** @throws HoldoverError RELEASE_EXISTS, DIRECTORY_MISSING, COMMAND_MISSING */
  async #newRelease(service: ServiceRecord, request: DeployRequest, actor: string): Promise<ReleaseRecord> {
    const { builds } = this.#options;
    const before = service.releases.find((release) => release.id === request.release);
    const nowMs = this.#now();
    const dir = request.dir ?? service.definition.dir;
    const again = before?.state.name === "retired" && before.snapshot !== null && request.dir === undefined;
    if (before && before.state.name !== "retired" && before.state.name !== "failed") {
      throw new HoldoverError("RELEASE_EXISTS", {
        service: service.name,
        release: before.id,
        state: before.state.name,
      });
    }
    if (again) {
      return {
        ...transition(before, starting(nowMs)),
        intent: request.then,
        gatePassed: false,
        deployedBy: actor,
        createdAtMs: nowMs,
      };
    }
    if (dir === undefined) throw new HoldoverError("DIRECTORY_MISSING", { dir: "(none named)" });
    await builds.check(service.name, service.definition.command, dir);
    return {
      id: request.release,
      state: starting(nowMs),
      definition: service.definition,
      dir,
      snapshot: null,
      // A release that once ran must come back as it was; one that failed may have been mended.
      digest: before?.state.name === "retired" ? before.digest : null,
      intent: request.then,
      gatePassed: false,
      deployedBy: actor,
      createdAtMs: nowMs,
      currentAtMs: before?.currentAtMs ?? 0,
      nextOrdinal: before?.nextOrdinal ?? 1,
    };
  }

  /** @throws HoldoverError RELEASE_COLD */
  #mustBeWarm(service: ServiceRecord, releaseId: string): void {
    const { instances } = this.#known();
    if (instances === null) throw new HoldoverError("LINK_DOWN");
    const warm = instances.some(
      (one) => one.service === service.name && one.release === releaseId && one.state.name === "ready",
    );
    if (!warm) throw new HoldoverError("RELEASE_COLD", { service: service.name, release: releaseId });
  }

  async #step(): Promise<void> {
    const { dataPlane, audit } = this.#options;
    const nowMs = this.#now();
    if (dataPlane.closing() && !this.#closingNoted) {
      await audit.append([{ ...this.#cause("operator", "a signal to the host"), kind: "host.closing" }]);
      this.#closingNoted = true;
    }
    const { instances, sessions } = this.#known();
    if (instances) await this.#records.sawInstances(instances, nowMs);
    const observed = { nowMs, services: this.#records.services(), instances, sessions, closing: dataPlane.closing() };
    for (const action of plan(observed)) await this.#executor.run(action);
    await this.#publish();
  }

  /** Brings the table up to what is true now, and into force. */
  async #publish(): Promise<void> {
    const { platform, dataPlane, linked } = this.#options;
    const instances = platform.instances();
    const inForce = dataPlane.tableInForce();
    // Without the platform's word an instance could be left out of the table that is alive, and its sessions with it.
    if (!linked() || instances === null || inForce === null || dataPlane.closing()) return;
    const services = routedServices(this.#records.services(), instances, this.#now());
    if (JSON.stringify(services) !== JSON.stringify(this.#table?.services)) {
      const number = Math.max(this.#records.tableNumber(), inForce) + 1;
      await this.#records.issueTable(number, this.#cause("control", "releases or instances changed"));
      this.#table = { number, services };
    }
    if (this.#table && inForce !== this.#table.number) await dataPlane.apply(this.#table);
  }

  #known(): Known {
    const { platform, dataPlane } = this.#options;
    return { nowMs: this.#now(), instances: platform.instances(), sessions: dataPlane.counts() };
  }

  /** Plans soon; however many things change meanwhile, once. */
  #wake(): void {
    if (this.#stepWanted || this.#stopped) return;
    this.#stepWanted = true;
    void this.#exclusive(async () => {
      this.#stepWanted = false;
      if (!this.#stopped) await this.#step();
    }).catch((thrown: unknown) => {
      this.#options.log("step.failed", { problem: asHoldoverError(thrown).message });
    });
  }

  #keepTime(): void {
    this.#wake();
    this.#cancelTimer = this.#options.clock.after(REPLAN_EVERY_MS, () => this.#keepTime());
  }

  #exclusive<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => {});
    return result;
  }

  #save(service: ServiceRecord, actor: string, reason: string): Promise<void> {
    return this.#records.save(service, this.#cause(actor, reason));
  }

  #cause(actor: string, reason: string): Cause {
    return { atMs: this.#now(), actor, reason };
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** @throws HoldoverError RELEASE_IS_CURRENT, RELEASE_TRANSITION */
function retire(service: ServiceRecord, release: ReleaseRecord, now: boolean, nowMs: number): ReleaseRecord {
  const policy = service.definition.retention;
  const graceMs = now ? 0 : policy.policy === "fixed" ? policy.grace : DEFAULT_GRACE_MS;
  switch (release.state.name) {
    case "current":
      throw new HoldoverError("RELEASE_IS_CURRENT", { service: service.name, release: release.id });
    case "starting":
    case "ready":
    case "retired":
    case "failed":
      return transition(release, retired(nowMs));
    case "ramping":
      return transition(transition(release, retained(nowMs)), expiring(nowMs, nowMs + graceMs));
    case "retained":
      return transition(release, expiring(nowMs, nowMs + graceMs));
    case "expiring":
      // Only ever shorter: a grace that was promised shorter is not made longer by asking again.
      return {
        ...release,
        state: expiring(release.state.sinceMs, Math.min(release.state.graceUntilMs, nowMs + graceMs)),
      };
  }
}

/** @throws HoldoverError DEPLOY_IN_PROGRESS */
function refuseSecondDeploy(service: ServiceRecord): void {
  const under = service.releases.find(
    ({ state, intent }) =>
      state.name === "starting" || state.name === "ramping" || (state.name === "ready" && intent.then !== "wait"),
  );
  if (!under) return;
  throw new HoldoverError("DEPLOY_IN_PROGRESS", { service: service.name, release: under.id, state: under.state.name });
}

/** @throws HoldoverError CONFIG_INVALID */
function readDefinition(service: string, input: unknown): ServiceDefinition {
  const result = serviceDefinition.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new HoldoverError("CONFIG_INVALID", {
    where: ["services", service, ...(issue?.path ?? [])].join("."),
    problem: issue?.message ?? "it cannot be read",
    remedy: "Correct it in holdover.yaml and deploy again.",
  });
}

/** The entries that a session's event leaves: none where a session ended by itself; those are in the history. */
function auditOf(event: SessionEvent): AuditDraft[] {
  const pin = event.kind === "ended" ? event.session : event.pin;
  const draft = (kind: string, reason: string, detail: Record<string, string | number>): AuditDraft => ({
    atMs: event.atMs,
    kind: `session.${kind}`,
    actor: "router",
    reason,
    service: pin.service,
    release: pin.release,
    instance: pin.instance,
    session: pin.key,
    detail: { fence: pin.fence, ...detail },
  });
  switch (event.kind) {
    case "disrupted":
      return [draft("disrupted", "its instance died", { connections: event.connections })];
    case "placed-anew":
      return [draft("placed-anew", "somebody came back to it", { from: event.from })];
    case "ended": {
      const { reason, connectionsClosed } = event.session;
      if (reason === "hangup" || reason === "expired") return [];
      const why = {
        moved: "its release is expiring",
        cut: "ended by force",
        lost: "nobody came back after its instance died",
      };
      return [draft(reason, why[reason], { connectionsClosed })];
    }
  }
}

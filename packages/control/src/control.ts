import {
  asHoldoverError,
  findingsOf,
  findingText,
  formatDuration,
  HoldoverError,
  isAlive,
  mustBeWarm,
  mustHaveCurrent,
  plan,
  releaseOf,
  REPLAN_EVERY_MS,
  withRelease,
  type AuditLog,
  type Change,
  type Clock,
  type DataPlane,
  type EndedSession,
  type ForecastStore,
  type KeptSamples,
  type OpenedSession,
  type Platform,
  type ReleaseStore,
  type ServiceDefinition,
  type ServiceRecord,
  type SessionAges,
  type SessionEvent,
  type SessionHistory,
  type SessionList,
  type SessionMoved,
  type SessionQuery,
  type SessionRequest,
  type SessionTimeline,
} from "@holdover/core";
import type {
  DeployPlanView,
  ForecastView,
  PreparedView,
  PrepareRequest,
  RestartPlanView,
  RestartRequest,
} from "./api/forecast-views.ts";
import type { PreviewRequest, PreviewView } from "./api/preview-views.ts";
import type { SessionStoryView } from "./api/session-views.ts";
import type { AgesView, LengthsDetailView, TimelineQuery, TimelineView } from "./api/timeline-views.ts";
import type {
  CompatibilityView,
  DeployRequest,
  InstanceView,
  ReleaseView,
  RollbackRequest,
  StatusView,
} from "./api/views.ts";
import type { Builds } from "./builds.ts";
import { Decisions, type Word } from "./decisions.ts";
import type { Invitations } from "./invitations.ts";
import { Executor } from "./executor.ts";
import { getsOn, reportView, tryBeside } from "./format-gate.ts";
import { LengthsDetail } from "./lengths-detail.ts";
import { refuseSharedAddress } from "./new-release.ts";
import type { Operations } from "./operations.ts";
import { Outlooks } from "./outlooks.ts";
import { Planning } from "./planning.ts";
import { previewMove, previewWord } from "./previews.ts";
import { Recent } from "./recent.ts";
import { Records, type Cause } from "./records.ts";
import { Routing } from "./routing.ts";
import { auditOf } from "./session-audit.ts";
import { agesView } from "./session-ages-view.ts";
import { sessionStory } from "./session-story.ts";
import { instanceView, releaseView, serviceView, type Known } from "./status.ts";
import { Timeline } from "./timeline.ts";

/** Changes by word that may wait for their turn; one more is refused. */
const MOST_WAITING = 100;
/** Searches of live sessions at once: of a million each takes the host a third of a second, and it does one at a time. */
const MOST_SEARCHES = 8;
/** Ages that every page asks for are asked of the host once in this time, ms. */
const AGES_LAST_MS = 1000;
/** How far back the audit log is searched for what the control process before has noted of a shutdown. */
const NOTED_WITHIN = 1000;

export interface ControlOptions {
  readonly releases: ReleaseStore;
  readonly audit: AuditLog;
  readonly history: SessionHistory;
  readonly forecasts: ForecastStore;
  readonly timeline: SessionTimeline;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly linked: () => boolean;
  readonly builds: Builds;
  readonly invitations: Invitations;
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
  #link: { readonly up: boolean; readonly sinceMs: number };
  readonly #routing: Routing;
  readonly #outlooks: Outlooks;
  readonly #planning: Planning;
  readonly #decisions: Decisions;
  readonly #timeline: Timeline;
  readonly #lengths: LengthsDetail;
  readonly #ages: Recent<SessionAges>;
  /** Searches of the live sessions that are under way. */
  #searches = 0;
  /** Changes run one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stepWanted = false;
  #stopped = false;
  #cancelTimer: () => void = () => {};
  readonly #unsubscribe: (() => void)[] = [];
  /** Who asked for the shutdown; null for a signal, of which nobody told. */
  #closingCause: Cause | null = null;
  #closingNoted = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now();
    this.#link = { up: options.linked(), sinceMs: this.#startedAtMs };
    this.#records = new Records(options.releases);
    this.#routing = new Routing({ ...options, records: this.#records });
    this.#outlooks = new Outlooks({
      ...options,
      services: () => this.#records.services(),
      changed: () => this.#wake(),
    });
    this.#planning = new Planning({ ...options, outlooks: this.#outlooks });
    this.#timeline = new Timeline({ ...options, services: () => this.#records.services() });
    this.#ages = new Recent(AGES_LAST_MS, options.clock);
    this.#lengths = new LengthsDetail({
      ...options,
      outlooks: this.#outlooks,
      ages: (service) => this.#agesOf(service),
    });
    this.#decisions = new Decisions({
      records: this.#records,
      planning: this.#planning,
      builds: options.builds,
      known: () => this.#known(),
    });
    this.#executor = new Executor({
      ...options,
      records: this.#records,
      // What ends in the background after the stop is dropped: the next control process does it again.
      exclusive: (change) => this.#exclusive(async () => (this.#stopped ? undefined : change())),
    });
  }

  /**
   * Reads what is stored and begins.
   * @param declared the services of holdover.yaml; null when control starts again under the same host: what was deployed
   * meanwhile is newer than what that host has read
   * @throws HoldoverError CONFIG_INVALID, DIRECTORY_MISSING, COMMAND_MISSING, STORE_FAILED
   */
  async start(declared: Readonly<Record<string, ServiceDefinition>> | null): Promise<void> {
    const { platform, dataPlane, history, audit } = this.#options;
    await this.#records.load();
    if (declared) await this.#declare(declared);
    else this.#closingNoted = (await audit.tail(NOTED_WITHIN)).findLast(isMilestone)?.kind === "host.closing";
    this.#unsubscribe.push(
      platform.subscribe(() => this.#wake()),
      dataPlane.subscribe(() => {
        this.#noteLink();
        this.#wake();
      }),
      dataPlane.onEvents(async (host, events) => {
        // A batch may come again: an end that was counted once is not counted twice.
        const fresh: SessionEvent[] = [];
        await history.record(host, events, (event) => {
          fresh.push(event);
          return auditOf(event);
        });
        this.#outlooks.noteEnds(fresh);
      }),
    );
    await this.#outlooks.start();
    this.#timeline.start();
    this.#keepTime();
  }

  /** Waits for the change under way. What runs in the background is left: it is done again by the next control process. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    this.#outlooks.stop();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#timeline.stop();
    await this.#last;
  }

  status(): StatusView {
    const { dataPlane, version } = this.#options;
    const known = this.#known();
    this.#noteLink();
    return {
      nowMs: known.nowMs,
      version,
      startedAtMs: this.#startedAtMs,
      router: {
        linked: this.#link.up,
        linkSinceMs: this.#link.sinceMs,
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
    return this.#operation(serviceName, actor, () => this.#decisions.deploy(serviceName, request, actor));
  }

  async compatibility(serviceName: string, from: string, to: string): Promise<CompatibilityView> {
    const service = this.#records.service(serviceName);
    const known = this.#known();
    for (const release of [from, to]) mustBeWarm(service, releaseOf(service, release).id, known);
    const report = await tryBeside(this.#options.dataPlane, serviceName, to, [from]);
    const [forward, back] = [findingsOf(report, "forward"), findingsOf(report, "back")];
    return {
      service: serviceName,
      from,
      to,
      reads: forward.length === 0,
      readsBack: back.length === 0,
      problems: [...forward, ...back].map(findingText),
      ...reportView(report),
    };
  }

  samples(serviceName: string): Promise<KeptSamples> {
    const { name, releases } = this.#records.service(serviceName);
    return this.#options.dataPlane.samples({ service: name, releases: releases.filter(getsOn).map(({ id }) => id) });
  }

  promote(serviceName: string, release: string, actor: string): Promise<ReleaseView> {
    return this.#word(serviceName, { action: "promote", release }, actor);
  }

  ramp(serviceName: string, release: string, percent: number, actor: string): Promise<ReleaseView> {
    return this.#word(serviceName, { action: "ramp", release, percent }, actor);
  }

  rollback(serviceName: string, request: RollbackRequest, actor: string): Promise<ReleaseView> {
    return this.#word(serviceName, { action: "rollback", ...request }, actor);
  }

  retire(serviceName: string, release: string, now: boolean, actor: string): Promise<ReleaseView> {
    return this.#word(serviceName, { action: "retire", release, now }, actor);
  }

  async forecast(serviceName: string, releaseId: string): Promise<ForecastView> {
    return this.#planning.forecast(this.#records.service(serviceName), releaseId, this.#known());
  }

  async timeline(serviceName: string, query: TimelineQuery): Promise<TimelineView> {
    return this.#timeline.of(this.#records.service(serviceName), query);
  }

  async lengths(serviceName: string): Promise<LengthsDetailView> {
    return this.#lengths.of(this.#records.service(serviceName));
  }

  async ages(serviceName: string): Promise<AgesView> {
    const service = this.#records.service(serviceName);
    return agesView(service, await this.#agesOf(service.name));
  }

  async deployPlan(serviceName: string): Promise<DeployPlanView> {
    return this.#planning.deployPlan(this.#records.service(serviceName));
  }

  async prepare(serviceName: string, request: PrepareRequest, actor: string): Promise<PreparedView> {
    const { linger, cutoverLinger = linger / 6 } = this.#records.service(serviceName).definition.session;
    const lingerMs = request.lingerMs ?? cutoverLinger;
    const release = await this.#operation(serviceName, actor, async () => {
      const service = this.#records.service(serviceName);
      const current = mustHaveCurrent(service);
      if (lingerMs >= linger) {
        const problem = `A linger of ${formatDuration(lingerMs)} at the cutover is not below the normal one of ${formatDuration(linger)}.`;
        throw new HoldoverError("REQUEST_INVALID", { problem });
      }
      const fromMs = this.#now();
      const preparation = { fromMs, untilMs: fromMs + request.inMs, lingerMs };
      const reason = `a cutover is to come in ${formatDuration(request.inMs)}`;
      return { next: withRelease(service, { ...current, preparation }), release: current.id, reason };
    });
    return { release, tail: await this.#planning.tail(this.#records.service(serviceName), lingerMs) };
  }

  unprepare(serviceName: string, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, actor, async () => {
      const service = this.#records.service(serviceName);
      const current = mustHaveCurrent(service);
      const next = withRelease(service, { ...current, preparation: null });
      return { next, release: current.id, reason: "the cutover is called off" };
    });
  }

  async restartPlan(serviceName: string, settings: RestartRequest): Promise<RestartPlanView> {
    return this.#planning.restartPlan(this.#records.service(serviceName), settings);
  }

  restart(serviceName: string, settings: RestartRequest, actor: string): Promise<ReleaseView> {
    return this.#word(serviceName, { action: "restart", ...settings }, actor);
  }

  async preview(serviceName: string, request: PreviewRequest): Promise<PreviewView> {
    const service = this.#records.service(serviceName);
    if (request.action === "move") {
      const move = { service: service.name, key: request.key, fence: null };
      return previewMove(service.name, this.#now(), () => this.#options.dataPlane.move(move));
    }
    return previewWord(service, request, {
      around: { ...this.#known(), closing: false },
      planning: this.#planning,
      decide: async () => {
        this.#mustHaveRoom();
        return this.#decided(() => this.#decisions.word(serviceName, request, "preview"));
      },
    });
  }

  async move(serviceName: string, key: string, actor: string): Promise<SessionMoved> {
    const { audit, dataPlane } = this.#options;
    const service = this.#records.service(serviceName).name;
    const { release, instance, fence, connections, job } = await dataPlane.move({ service, key, fence: null });
    // First: of what was not noted nobody would know who asked for it.
    const at = { service, release, instance, session: key };
    const reason = job ? "asked to finish: it is a job" : "asked to move by word";
    await audit.append([
      { ...this.#cause(actor, reason), ...at, kind: "session.moving", detail: { fence, connections } },
    ]);
    return dataPlane.move({ service, key, fence });
  }

  stopRestart(serviceName: string, actor: string): Promise<ReleaseView> {
    return this.#operation(serviceName, actor, async () => {
      const service = this.#records.service(serviceName);
      const current = mustHaveCurrent(service);
      return {
        next: withRelease(service, { ...current, restart: null }),
        release: current.id,
        reason: "the restart is called off",
      };
    });
  }

  instances(): InstanceView[] {
    const known = this.#known();
    if (known.instances === null) throw new HoldoverError("LINK_DOWN");
    return known.instances
      .toSorted((a, b) => Number(isAlive(b)) - Number(isAlive(a)) || a.startedAtMs - b.startedAtMs)
      .map((instance) => instanceView(instance, known));
  }

  async sessions(query: SessionQuery): Promise<SessionList> {
    if (query.service !== undefined) this.#records.service(query.service);
    if (this.#searches >= MOST_SEARCHES) {
      throw new HoldoverError("CONTROL_BUSY", { problem: `${MOST_SEARCHES} searches of sessions are under way` });
    }
    this.#searches += 1;
    return this.#options.dataPlane.sessions(query).finally(() => (this.#searches -= 1));
  }

  async session(serviceName: string, key: string): Promise<SessionStoryView> {
    return sessionStory(this.#records.service(serviceName).name, key, this.#options);
  }

  async open(request: SessionRequest): Promise<OpenedSession> {
    const { dataPlane } = this.#options;
    const { service, label } = request;
    const known = this.#records.service(service).definition.session.label?.values ?? [];
    if (label !== null && !known.includes(label)) {
      const problem = `Service ${service} does not list the label ${label}; it lists: ${known.join(", ") || "none"}.`;
      throw new HoldoverError("REQUEST_INVALID", { problem });
    }
    if (dataPlane.closing()) throw new HoldoverError("HOST_CLOSING");
    return dataPlane.open(request);
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
    await this.#exclusive(async () => {
      // First: an entry of what did not happen could not be taken back.
      await this.#options.dataPlane.shutdown(now);
      this.#closingCause = this.#cause(actor, now ? "down, cutting what is live" : "down");
      this.#closingNoted = false;
      // It goes on all the same, and the entry is tried again with each step.
      await this.#noteClosing().catch((thrown: unknown) => this.#failedStep(thrown));
    });
  }

  /** Why nothing can be changed now; null when it can. */
  notReady(): string | null {
    return this.#routing.obstacle() ?? (this.#routing.hasIssued() ? null : "the first routing table is not issued yet");
  }

  async #declare(declared: Readonly<Record<string, ServiceDefinition>>): Promise<void> {
    for (const [name, definition] of Object.entries(declared)) {
      const known = this.#records.find(name);
      // One that is declared too may be about to give its address up; the file as a whole has been checked.
      const others = this.#records.services().filter((service) => !Object.hasOwn(declared, service.name));
      refuseSharedAddress(name, definition, others);
      const service: ServiceRecord = { name, releases: [], ...known, definition };
      const cause = this.#cause("control", "declared in holdover.yaml");
      if (service.releases.length === 0 && definition.dir !== undefined) {
        const request: DeployRequest = {
          release: definition.release ?? "v1",
          dir: definition.dir,
          then: { then: "promote" },
        };
        const release = await this.#decisions.newRelease(service, request, "control");
        await this.#records.save(withRelease(service, release), cause);
      } else if (!known || JSON.stringify(known.definition) !== JSON.stringify(definition)) {
        await this.#records.save(service, cause);
      }
    }
    for (const { name } of this.#records.services()) {
      if (!Object.hasOwn(declared, name)) this.#options.log("service.undeclared", { service: name });
    }
  }

  #word(service: string, word: Word, actor: string): Promise<ReleaseView> {
    return this.#operation(service, actor, () => this.#decisions.word(service, word, actor));
  }

  /**
   * A change by word: stored, and in force where it changes the table, when it resolves. One that cannot be put in
   * force now is refused before it is stored.
   * @throws HoldoverError HOST_CLOSING, LINK_DOWN, CONTROL_BUSY, STORE_FAILED: nothing has changed; NOT_IN_FORCE: it has
   */
  async #operation(service: string, actor: string, decide: () => Promise<Change>): Promise<ReleaseView> {
    this.#mustHaveRoom();
    this.#waiting += 1;
    const release = await this.#exclusive(async () => {
      const { next, through, release, reason, routed } = await this.#decided(decide);
      await this.#records.save(next, this.#cause(actor, reason), through);
      if (routed) await this.#putInForce();
      return release;
    }).finally(() => (this.#waiting -= 1));
    this.#wake();
    return this.release(service, release);
  }

  /** A change that may be made now: all that a word meets before anything is stored. */
  async #decided(decide: () => Promise<Change>): Promise<Change & { readonly routed: boolean }> {
    if (this.#stopped) throw new HoldoverError("CONTROL_BUSY", { problem: "it is about to end" });
    if (this.#options.dataPlane.closing()) throw new HoldoverError("HOST_CLOSING");
    const change = await decide();
    const routed = this.#routing.changesWith(change.next);
    if (routed && this.#routing.obstacle() !== null) throw new HoldoverError("LINK_DOWN");
    return { ...change, routed };
  }

  #mustHaveRoom(): void {
    if (this.#waiting < MOST_WAITING) return;
    throw new HoldoverError("CONTROL_BUSY", { problem: `${MOST_WAITING} changes wait for their turn` });
  }

  /** @throws HoldoverError NOT_IN_FORCE */
  async #putInForce(): Promise<void> {
    try {
      await this.#routing.publish();
    } catch (cause) {
      throw new HoldoverError("NOT_IN_FORCE", { problem: asHoldoverError(cause).message }, { cause });
    } finally {
      this.#wake();
    }
  }

  async #step(): Promise<void> {
    const { dataPlane } = this.#options;
    const nowMs = this.#now();
    const closing = dataPlane.closing();
    await this.#noteClosing();
    const { instances, sessions } = this.#known();
    if (instances) await this.#records.sawInstances(instances, nowMs);
    const outlooks = this.#outlooks.all();
    const services = this.#records.services();
    for (const action of plan({ nowMs, services, instances, sessions, outlooks, closing })) {
      // One call that fails for want of the host is enough: each of hundreds may take seconds to fail.
      if (!(await this.#executor.run(action))) return;
    }
    if (this.#routing.obstacle() === null && !closing) await this.#routing.publish();
  }

  async #noteClosing(): Promise<void> {
    const { audit, dataPlane } = this.#options;
    if (this.#closingNoted || (!dataPlane.closing() && this.#closingCause === null)) return;
    const cause = this.#closingCause ?? this.#cause("operator", "a signal to the host");
    await audit.append([{ ...cause, kind: "host.closing" }]);
    this.#closingNoted = true;
    this.#closingCause = null;
  }

  #noteLink(): void {
    const up = this.#options.linked();
    if (up !== this.#link.up) this.#link = { up, sinceMs: this.#now() };
  }

  #agesOf(service: string): Promise<SessionAges> {
    return this.#ages.of(service, () => this.#options.dataPlane.ages({ service, by: "release" }));
  }

  #known(): Known {
    const { platform, dataPlane } = this.#options;
    return {
      nowMs: this.#now(),
      instances: platform.instances(),
      sessions: dataPlane.counts(),
      outlooks: this.#outlooks.all(),
    };
  }

  /** Plans soon; however many things change meanwhile, once. */
  #wake(): void {
    if (this.#stepWanted || this.#stopped) return;
    this.#stepWanted = true;
    void this.#exclusive(async () => {
      this.#stepWanted = false;
      if (!this.#stopped) await this.#step();
    }).catch((thrown: unknown) => this.#failedStep(thrown));
  }

  #failedStep(thrown: unknown): void {
    this.#options.log("step.failed", { problem: asHoldoverError(thrown).message });
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

  #cause(actor: string, reason: string): Cause {
    return { atMs: this.#now(), actor, reason };
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** Whether an entry tells of a new host or of the end of one. */
function isMilestone({ kind, detail }: { kind: string; detail?: Readonly<Record<string, unknown>> }): boolean {
  return kind === "host.closing" || (kind === "control.started" && detail?.["again"] !== true);
}

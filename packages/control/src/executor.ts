import {
  asHoldoverError,
  cutover,
  failed,
  heldSessions,
  HoldoverError,
  instanceId,
  isAlive,
  currentRelease,
  releaseOf,
  transition,
  withRelease,
  type Action,
  type Clock,
  type DataPlane,
  type FormatTrialReport,
  type InstanceSpec,
  type Platform,
  type ReleaseFailure,
  type ReleaseRecord,
  type ServiceRecord,
} from "@holdover/core";
import type { Builds } from "./builds.ts";
import type { Invitations } from "./invitations.ts";
import { formatFailure, tryRelease } from "./format-gate.ts";
import { isSameDeploy } from "./new-release.ts";
import type { Records } from "./records.ts";

/** Lines of a log that a failed release carries. */
const FAILURE_LOG_LINES = 20;
/** A start that the platform refuses outright is not tried again before this, ms. */
const REFUSED_START_MS = 5000;
/** An instance may join for so long after it had to be healthy, ms: it may be adopted or be slow. */
const JOIN_MORE_MS = 60_000;

export interface ExecutorOptions {
  readonly records: Records;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly builds: Builds;
  readonly invitations: Pick<Invitations, "environment">;
  readonly clock: Clock;
  /** Runs a change when no other runs: what takes long happens outside and only its result comes in here. */
  readonly exclusive: (change: () => Promise<void>) => Promise<void>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** Takes the steps of a plan. A step that is under way is not taken twice; one that fails is planned again. */
export class Executor {
  readonly #options: ExecutorOptions;
  /** Releases whose snapshot or gates are under way: one thing at a time each, so that none works on what another removes. */
  readonly #underWay = new Set<string>();
  readonly #refusedUntilMs = new Map<string, number>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /**
   * Takes one step; what takes long goes on in the background.
   * @returns false where the host is out of reach
   */
  async run(action: Action): Promise<boolean> {
    try {
      await this.#run(action);
      return true;
    } catch (thrown) {
      return this.#failedStep(action, thrown) !== "LINK_DOWN";
    }
  }

  #run(action: Action): Promise<void> | void {
    switch (action.do) {
      case "snapshot":
        return this.#background(action, (release) => this.#snapshot(action.service, release));
      case "formats":
        return this.#background(action, (release) => this.#formats(action.service, release));
      case "gate":
        return this.#background(action, (release) => this.#gate(action.service, release, action.instance));
      case "remove-snapshot":
        return this.#background(action, (release) => this.#removeSnapshot(action.service, release.id));
      case "start":
        return this.#start(action.service, action.release, action.ordinal);
      case "stop":
        return this.#stop(action.instance, action.graceMs);
      case "transition":
        return this.#save(action.service, action.why, (service) =>
          withRelease(service, transition(releaseOf(service, action.release), action.to)),
        );
      case "cutover":
        return this.#save(action.service, `${action.why} by ${this.#release(action).deployedBy}`, (service) =>
          cutover(service, action.release, this.#options.clock.now(), this.#liveOnCurrent(service)),
        );
      case "deadline":
        return this.#save(action.service, action.why, (service) => {
          const release = releaseOf(service, action.release);
          if (release.state.name !== "retained") return service;
          return withRelease(service, { ...release, state: { ...release.state, deadlineMs: action.deadlineMs } });
        });
      case "restart":
        return this.#save(action.service, action.why, (service) => {
          const release = releaseOf(service, action.release);
          // A cutover in the same pass may have called it off.
          return release.restart ? withRelease(service, { ...release, restart: action.restart }) : service;
        });
      case "fail":
        return this.#failInstance(action);
    }
  }

  /** Sessions that the release holds that is about to be retained; null where nobody can count them. */
  #liveOnCurrent(service: ServiceRecord): number | null {
    const { platform, dataPlane } = this.#options;
    const known = { instances: platform.instances(), sessions: dataPlane.counts() };
    return heldSessions(service.name, currentRelease(service)?.id, known);
  }

  #background(
    action: Extract<Action, { readonly do: "snapshot" | "formats" | "gate" | "remove-snapshot" }>,
    work: (release: ReleaseRecord) => Promise<void>,
  ): void {
    const key = keyOf(action);
    if (this.#underWay.has(key)) return;
    const release = this.#release(action);
    this.#underWay.add(key);
    void work(release)
      .catch((thrown: unknown) => this.#failedStep(action, thrown))
      .finally(() => this.#underWay.delete(key));
  }

  #failedStep(action: Action, thrown: unknown): string {
    const error = asHoldoverError(thrown);
    this.#options.log("step.failed", { do: action.do, service: action.service, problem: error.message });
    return error.code;
  }

  async #snapshot(serviceName: string, release: ReleaseRecord): Promise<void> {
    const { builds, platform, clock } = this.#options;
    const left = (platform.instances() ?? []).filter(
      (one) => isAlive(one) && one.service === serviceName && one.release === release.id,
    );
    // They are of an earlier deploy under this id: its build must neither be taken away under them nor pass for the new one.
    for (const one of left) await this.#stop(one.id, release.definition.stopGrace);
    if (left.length > 0) return;
    const to = builds.pathOf(serviceName, release.id);
    // What lies there is of a deploy that failed, or was cut short: no release that runs is without its snapshot's path.
    await builds.remove(to);
    let failure: ReleaseFailure | null = null;
    let digest: string | null = null;
    try {
      ({ digest } = await builds.snapshot(release.dir, to));
      if (release.digest !== null && release.digest !== digest) {
        await builds.remove(to);
        const problem = `its build is not the one that ${release.id} was before; deploy it under another id`;
        failure = { code: "RELEASE_EXISTS", problem, log: [] };
      }
    } catch (thrown) {
      failure = failureOf(asHoldoverError(thrown));
    }
    await this.#result(serviceName, release, failure?.problem ?? `snapshot of ${release.dir}`, (now) =>
      failure ? transition(now, failed(clock.now(), failure)) : { ...now, snapshot: to, digest },
    );
  }

  async #formats(serviceName: string, release: ReleaseRecord): Promise<void> {
    const { dataPlane, records, clock } = this.#options;
    const report = await this.#tried(() => tryRelease(dataPlane, records.service(serviceName), release.id), {
      service: serviceName,
      release: release.id,
    });
    const failure = "code" in report ? failureOf(report) : formatFailure(release, report);
    const formats = "code" in report ? null : report;
    await this.#result(serviceName, release, failure?.problem ?? "what sessions keep was tried", (now) =>
      failure ? transition({ ...now, formats }, failed(clock.now(), failure)) : { ...now, formats },
    );
  }

  /** @throws HoldoverError LINK_DOWN: it is tried again */
  async #tried(
    run: () => Promise<FormatTrialReport>,
    of: { readonly service: string; readonly release: string },
  ): Promise<FormatTrialReport | HoldoverError> {
    try {
      return await run();
    } catch (thrown) {
      const error = asHoldoverError(thrown);
      if (error.code === "LINK_DOWN") throw error;
      if (error.code === "FORMAT_TRIAL_FAILED") return error;
      return new HoldoverError("FORMAT_TRIAL_FAILED", { ...of, problem: error.message }, { cause: error });
    }
  }

  async #gate(serviceName: string, release: ReleaseRecord, instanceId: string): Promise<void> {
    const { builds, platform, clock } = this.#options;
    const instance = platform.instances()?.find((one) => one.id === instanceId);
    const { gate } = release.definition;
    if (!gate || !instance || release.snapshot === null) return;
    const result = await builds.gate({
      service: serviceName,
      release: release.id,
      command: gate.command,
      snapshot: release.snapshot,
      url: `http://${instance.host}:${instance.port}`,
      env: release.definition.env,
      timeoutMs: gate.timeout,
    });
    await this.#result(serviceName, release, result.passed ? "the gate said yes" : result.problem, (now) => {
      if (result.passed) return { ...now, gatePassed: true };
      const failure = { code: "GATE_FAILED", problem: result.problem, log: result.log };
      return transition(now, failed(clock.now(), failure));
    });
  }

  /** Stores what came out of a release that starts, unless it was given up meanwhile, or given up and deployed again. */
  #result(
    service: string,
    release: ReleaseRecord,
    reason: string,
    change: (now: ReleaseRecord) => ReleaseRecord,
  ): Promise<void> {
    return this.#options.exclusive(() =>
      this.#save(service, reason, (record) => {
        const now = releaseOf(record, release.id);
        return now.state.name === "starting" && isSameDeploy(now, release) ? withRelease(record, change(now)) : record;
      }),
    );
  }

  async #removeSnapshot(serviceName: string, releaseId: string): Promise<void> {
    const { builds, exclusive } = this.#options;
    let removed = false;
    await exclusive(async () => {
      await this.#save(serviceName, "only the last retired releases keep their snapshot", (service) => {
        const release = releaseOf(service, releaseId);
        // It may have been deployed again from this very snapshot since the plan was made.
        if (release.state.name !== "retired" && release.state.name !== "failed") return service;
        return withRelease(service, { ...release, snapshot: null });
      });
      removed = this.#release({ service: serviceName, release: releaseId }).snapshot === null;
    });
    if (removed) await builds.remove(builds.pathOf(serviceName, releaseId));
  }

  async #start(serviceName: string, releaseId: string, ordinal: number): Promise<void> {
    const { platform, clock, invitations } = this.#options;
    const release = this.#release({ service: serviceName, release: releaseId });
    const key = keyOf({ service: serviceName, release: releaseId });
    if (release.snapshot === null || clock.now() < (this.#refusedUntilMs.get(key) ?? 0)) return;
    const spec = specOf(serviceName, release, release.snapshot, ordinal);
    // The number is spent before the start: an id never names two processes, whatever crashes in between.
    await this.#save(serviceName, "", (service) =>
      withRelease(service, { ...releaseOf(service, releaseId), nextOrdinal: ordinal + 1 }),
    );
    try {
      const instance = { service: serviceName, release: releaseId, instance: spec.id };
      const joining = await invitations.environment(instance, spec.health.startTimeout + JOIN_MORE_MS);
      await platform.start({ ...spec, env: { ...spec.env, ...joining } });
      this.#refusedUntilMs.delete(key);
    } catch (thrown) {
      const error = asHoldoverError(thrown);
      if (error.code === "LINK_DOWN") throw error;
      this.#refusedUntilMs.set(key, clock.now() + REFUSED_START_MS);
      if (release.state.name !== "starting") throw error;
      await this.#fail(serviceName, releaseId, failureOf(error));
    }
  }

  /** The data plane gives the instance up first, in one step with looking whether anything is on it (rules 2 and 3). */
  async #stop(id: string, graceMs: number): Promise<void> {
    const { platform, dataPlane } = this.#options;
    const instance = platform.instances()?.find((one) => one.id === id);
    if (!instance || !isAlive(instance)) return;
    const released = await dataPlane.release(id);
    if (released.released) await platform.stop(id, graceMs);
  }

  async #failInstance(action: Extract<Action, { do: "fail" }>): Promise<void> {
    const { platform, builds } = this.#options;
    const instance = platform.instances()?.find((one) => one.id === action.instance);
    const log = instance ? await builds.tail(instance.logFile, FAILURE_LOG_LINES) : [];
    await this.#fail(action.service, action.release, { code: action.code, problem: action.problem, log });
  }

  #fail(service: string, release: string, failure: ReleaseFailure): Promise<void> {
    return this.#save(service, failure.problem, (record) =>
      withRelease(record, transition(releaseOf(record, release), failed(this.#options.clock.now(), failure))),
    );
  }

  async #save(name: string, reason: string, change: (service: ServiceRecord) => ServiceRecord): Promise<void> {
    const { records, clock } = this.#options;
    const before = records.service(name);
    const next = change(before);
    if (next !== before) await records.save(next, { atMs: clock.now(), actor: "planner", reason });
  }

  #release(at: { service: string; release: string }): ReleaseRecord {
    return releaseOf(this.#options.records.service(at.service), at.release);
  }
}

function keyOf({ service, release }: { readonly service: string; readonly release: string }): string {
  return `${service}/${release}`;
}

function failureOf(error: HoldoverError): ReleaseFailure {
  return { code: error.code, problem: error.message, log: [] };
}

function specOf(service: string, release: ReleaseRecord, snapshot: string, ordinal: number): InstanceSpec {
  const { command, env, health } = release.definition;
  return { id: instanceId(service, release.id, ordinal), service, release: release.id, snapshot, command, env, health };
}

import {
  asHoldoverError,
  cutover,
  failed,
  instanceId,
  isAlive,
  releaseOf,
  transition,
  withRelease,
  type Action,
  type Clock,
  type DataPlane,
  type HoldoverError,
  type InstanceSpec,
  type Platform,
  type ReleaseFailure,
  type ReleaseRecord,
  type ServiceRecord,
} from "@holdover/core";
import type { Builds } from "./builds.ts";
import type { Records } from "./records.ts";

/** Lines of a log that a failed release carries. */
const FAILURE_LOG_LINES = 20;
/** A start that the platform refuses outright is not tried again before this, ms. */
const REFUSED_START_MS = 5000;

export interface ExecutorOptions {
  readonly records: Records;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly builds: Builds;
  readonly clock: Clock;
  /** Runs a change when no other runs: what takes long happens outside and only its result comes in here. */
  readonly exclusive: <T>(change: () => Promise<T>) => Promise<T>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** Takes the steps of a plan. A step that is under way is not taken twice; one that fails is planned again. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #refusedUntilMs = new Map<string, number>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Takes one step; what takes long goes on in the background. */
  async run(action: Action): Promise<void> {
    try {
      await this.#run(action);
    } catch (thrown) {
      this.#failedStep(action, thrown);
    }
  }

  /** Waits for what still runs in the background. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  #run(action: Action): Promise<void> | void {
    switch (action.do) {
      case "snapshot":
        return this.#background(action, () => this.#snapshot(action.service, action.release));
      case "gate":
        return this.#background(action, () => this.#gate(action.service, action.release, action.instance));
      case "remove-snapshot":
        return this.#background(action, () => this.#removeSnapshot(action.service, action.release));
      case "start":
        return this.#start(action.service, action.release, action.ordinal);
      case "stop":
        return this.#stop(action);
      case "transition":
        return this.#save(action.service, action.why, (service) =>
          withRelease(service, transition(releaseOf(service, action.release), action.to)),
        );
      case "cutover":
        return this.#save(action.service, `${action.why} by ${this.#release(action).deployedBy}`, (service) =>
          cutover(service, action.release, this.#options.clock.now()),
        );
      case "fail":
        return this.#failInstance(action);
    }
  }

  #background(action: Action, work: () => Promise<void>): void {
    const key = JSON.stringify(action);
    if (this.#underWay.has(key)) return;
    const running = work()
      .catch((thrown: unknown) => this.#failedStep(action, thrown))
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, running);
  }

  #failedStep(action: Action, thrown: unknown): void {
    this.#options.log("step.failed", {
      do: action.do,
      service: action.service,
      problem: asHoldoverError(thrown).message,
    });
  }

  async #snapshot(serviceName: string, releaseId: string): Promise<void> {
    const { builds, exclusive } = this.#options;
    const release = this.#release({ service: serviceName, release: releaseId });
    const to = builds.pathOf(serviceName, releaseId);
    // What lies there is of a deploy that failed, or was cut short: no release that runs is without its snapshot's path.
    await builds.remove(to);
    let failure: ReleaseFailure | null = null;
    let digest: string | null = null;
    try {
      ({ digest } = await builds.snapshot(release.dir, to));
      if (release.digest !== null && release.digest !== digest) {
        await builds.remove(to);
        const problem = `its build is not the one that ${releaseId} was before; deploy it under another id`;
        failure = { code: "RELEASE_EXISTS", problem, log: [] };
      }
    } catch (thrown) {
      failure = failureOf(asHoldoverError(thrown));
    }
    await exclusive(() =>
      this.#save(serviceName, failure?.problem ?? `snapshot of ${release.dir}`, (service) => {
        const now = releaseOf(service, releaseId);
        if (now.state.name !== "starting") return service;
        const next = failure
          ? transition(now, failed(this.#options.clock.now(), failure))
          : { ...now, snapshot: to, digest };
        return withRelease(service, next);
      }),
    );
  }

  async #gate(serviceName: string, releaseId: string, instanceId: string): Promise<void> {
    const { builds, platform, clock, exclusive } = this.#options;
    const release = this.#release({ service: serviceName, release: releaseId });
    const instance = platform.instances()?.find((one) => one.id === instanceId);
    const { gate } = release.definition;
    if (!gate || !instance || release.snapshot === null) return;
    const result = await builds.gate({
      service: serviceName,
      release: releaseId,
      command: gate.command,
      snapshot: release.snapshot,
      url: `http://${instance.host}:${instance.port}`,
      env: release.definition.env,
      timeoutMs: gate.timeout,
    });
    await exclusive(() =>
      this.#save(serviceName, result.passed ? "the gate said yes" : result.problem, (service) => {
        const now = releaseOf(service, releaseId);
        if (now.state.name !== "starting") return service;
        if (result.passed) return withRelease(service, { ...now, gatePassed: true });
        const failure = { code: "GATE_FAILED", problem: result.problem, log: result.log };
        return withRelease(service, transition(now, failed(clock.now(), failure)));
      }),
    );
  }

  async #removeSnapshot(serviceName: string, releaseId: string): Promise<void> {
    const { builds, exclusive } = this.#options;
    await exclusive(() =>
      this.#save(serviceName, "only the last retired releases keep their snapshot", (service) =>
        withRelease(service, { ...releaseOf(service, releaseId), snapshot: null }),
      ),
    );
    await builds.remove(builds.pathOf(serviceName, releaseId));
  }

  async #start(serviceName: string, releaseId: string, ordinal: number): Promise<void> {
    const { platform, clock } = this.#options;
    const release = this.#release({ service: serviceName, release: releaseId });
    const key = `${serviceName}/${releaseId}`;
    if (release.snapshot === null || clock.now() < (this.#refusedUntilMs.get(key) ?? 0)) return;
    const spec = specOf(serviceName, release, release.snapshot, ordinal);
    // The number is spent before the start: an id never names two processes, whatever crashes in between.
    await this.#save(serviceName, "", (service) =>
      withRelease(service, { ...releaseOf(service, releaseId), nextOrdinal: ordinal + 1 }),
    );
    try {
      await platform.start(spec);
    } catch (thrown) {
      const error = asHoldoverError(thrown);
      if (error.code === "LINK_DOWN") throw error;
      this.#refusedUntilMs.set(key, clock.now() + REFUSED_START_MS);
      if (release.state.name !== "starting") throw error;
      await this.#fail(serviceName, releaseId, failureOf(error));
    }
  }

  /** The data plane gives the instance up first, in one step with looking whether anything is on it (rules 2 and 3). */
  async #stop(action: Extract<Action, { do: "stop" }>): Promise<void> {
    const { platform, dataPlane } = this.#options;
    const instance = platform.instances()?.find((one) => one.id === action.instance);
    if (!instance || !isAlive(instance)) return;
    const released = await dataPlane.release(action.instance);
    if (released.released) await platform.stop(action.instance, action.graceMs);
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

function failureOf(error: HoldoverError): ReleaseFailure {
  return { code: error.code, problem: error.message, log: [] };
}

function specOf(service: string, release: ReleaseRecord, snapshot: string, ordinal: number): InstanceSpec {
  const { command, env, health } = release.definition;
  return { id: instanceId(service, release.id, ordinal), service, release: release.id, snapshot, command, env, health };
}

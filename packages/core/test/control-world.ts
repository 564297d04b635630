import assert from "node:assert/strict";
import { isAlive, toInstanceState, type Instance, type InstanceExit } from "../src/instance.ts";
import type { Action } from "../src/action.ts";
import { plan, REPLAN_EVERY_MS } from "../src/plan.ts";
import {
  currentRelease,
  cutover,
  failed,
  releaseOf,
  starting,
  transition,
  withRelease,
  type ReleaseRecord,
  type ServiceRecord,
} from "../src/release.ts";
import type { RetentionPolicy } from "../src/service.ts";
import type { SessionCount } from "../src/session.ts";
import { sampleDefinition, sampleInstance, sampleRelease, sampleService } from "./sample-service.ts";

/** What becomes of a release's instances and its gate; all else is the planner's. */
export interface Build {
  /** `sound` ones get ready; `broken` ones exit before; `mute` ones never get healthy; `refused` ones fail the gate. */
  readonly kind: "sound" | "broken" | "mute" | "refused";
  readonly instances: number;
  /** So many exit before they are healthy, of a sound build. */
  readonly falseStarts: number;
  readonly startMs: number;
  /** How long the ready ones live, one after another; those after the last live on. */
  readonly livesMs: readonly number[];
}

export interface Script {
  readonly builds: readonly Build[];
  readonly policy: RetentionPolicy;
  readonly sessions: readonly { readonly atMs: number; readonly lastsMs: number }[];
}

const DEPLOY_EVERY_MS = 20_000;
/** Long enough for the last window, session, death and back-off of any script. */
const QUIET_FROM_MS = 160_000;
const END_MS = 195_000;

/** Control's stored records, a platform, a data plane: each as its port says, and no more. */
export class ControlWorld {
  service: ServiceRecord;
  readonly #script: Script;
  /** Whether control dies half-way through its next action. */
  readonly #dies: () => boolean;
  #instances: Instance[] = [];
  #fates = new Map<string, { readyAtMs: number; exitAtMs: number; error: string }>();
  #sessions: { instance: string; untilMs: number }[] = [];
  #nowMs = 0;
  /** Actions that were planned although all should have been at rest. */
  late: Action[] = [];

  constructor(script: Script, dies: () => boolean) {
    this.#script = script;
    this.#dies = dies;
    this.service = sampleService([], { definition: sampleDefinition({ retention: script.policy }) });
  }

  /** From the first deploy until long after all is quiet. @throws AssertionError where rule 3 is broken */
  run(): void {
    for (; this.#nowMs < END_MS; this.#nowMs += REPLAN_EVERY_MS) {
      this.#pass();
      const sessions = this.#counts();
      const actions = plan({
        nowMs: this.#nowMs,
        services: [this.service],
        instances: this.#instances,
        sessions,
        outlooks: new Map(),
        closing: false,
      });
      if (this.#nowMs >= QUIET_FROM_MS) this.late.push(...actions);
      for (const action of actions) {
        if (action.do === "stop")
          assert.ok(!sessions.has(action.instance), `rule 3: ${action.instance} holds sessions`);
        // A control process that died plans anew, from what is stored alone.
        if (!this.#take(action)) break;
      }
      this.service = JSON.parse(JSON.stringify(this.service)) as ServiceRecord;
    }
  }

  ends(): string[] {
    return this.service.releases.map(({ id, state }) => `${id} ${state.name}`);
  }

  alive(): string[] {
    return this.#instances.filter(isAlive).map(({ release, state }) => `${release} ${state.name}`);
  }

  /** What happens by itself as time goes by: deploys, sessions, instances. */
  #pass(): void {
    const now = this.#nowMs;
    const build = now % DEPLOY_EVERY_MS === 0 ? this.#script.builds[now / DEPLOY_EVERY_MS] : undefined;
    if (build) this.#deploy(build);
    this.#instances = this.#instances.map((one) => this.#live(one));
    const dead = new Set(this.#instances.filter((one) => !isAlive(one)).map(({ id }) => id));
    const cut = new Set(
      this.service.releases.flatMap(({ id, state }) =>
        state.name === "expiring" && state.graceUntilMs <= now ? [id] : [],
      ),
    );
    const ending = new Set(this.#instances.filter(({ release }) => cut.has(release)).map(({ id }) => id));
    this.#sessions = this.#sessions.filter(
      ({ instance, untilMs }) => untilMs > now && !dead.has(instance) && !ending.has(instance),
    );
    const current = currentRelease(this.service)?.id;
    const target = this.#instances.find((one) => one.release === current && one.state.name === "ready");
    for (const { atMs, lastsMs } of this.#script.sessions) {
      if (target && atMs === now) this.#sessions.push({ instance: target.id, untilMs: now + lastsMs });
    }
  }

  #deploy(build: Build): void {
    const id = `v${this.service.releases.length + 1}`;
    const definition = sampleDefinition({
      instances: build.instances,
      ...(build.kind === "refused" ? { gate: { command: ["check"], timeout: 1000 } } : {}),
    });
    const given = { definition, snapshot: null, digest: null, createdAtMs: this.#nowMs };
    this.service = withRelease(this.service, sampleRelease(id, starting(this.#nowMs), given));
  }

  #live(one: Instance): Instance {
    const fate = this.#fates.get(one.id);
    const now = this.#nowMs;
    if (!fate || !isAlive(one)) return one;
    const exit: InstanceExit = { atMs: now, code: 1, signal: null, error: fate.error, problem: "it ended" };
    if (one.state.name === "draining") {
      return toInstanceState(one, { name: "stopped", sinceMs: now, exit: { ...exit, error: null } });
    }
    if (now >= fate.exitAtMs) return toInstanceState(one, { name: "lost", sinceMs: now, exit });
    const healthy = one.state.name === "starting" && now >= fate.readyAtMs;
    return healthy ? toInstanceState(one, { name: "ready", sinceMs: now }) : one;
  }

  /** Takes a step as control would: what it stores first, then what it does. False: it died in between. */
  #take(action: Action): boolean {
    const dies = this.#dies();
    switch (action.do) {
      case "snapshot":
        if (!dies) this.#save(action.release, { snapshot: `/snapshots/${action.release}` });
        break;
      case "start":
        this.#save(action.release, { nextOrdinal: action.ordinal + 1 });
        if (!dies) this.#start(action.release, action.ordinal);
        break;
      case "formats":
        // Nothing keeps anything here, so it is planned for no service.
        throw new Error("formats are tried of a service without any");
      case "gate":
        if (!dies) this.#fail(action.release, "GATE_FAILED", "no");
        break;
      case "transition":
        this.service = withRelease(this.service, transition(releaseOf(this.service, action.release), action.to));
        break;
      case "cutover":
        this.service = cutover(this.service, action.release, this.#nowMs, null);
        break;
      case "deadline": {
        const { state } = releaseOf(this.service, action.release);
        if (state.name === "retained")
          this.#save(action.release, { state: { ...state, deadlineMs: action.deadlineMs } });
        break;
      }
      case "restart":
        throw new Error("no restart was asked for");
      case "fail":
        this.#fail(action.release, action.code, action.problem);
        break;
      case "stop":
        if (!dies) this.#stop(action.instance);
        break;
      case "remove-snapshot":
        if (!dies) this.#save(action.release, { snapshot: null });
        break;
    }
    return !dies;
  }

  #save(id: string, change: Partial<ReleaseRecord>): void {
    this.service = withRelease(this.service, { ...releaseOf(this.service, id), ...change });
  }

  #fail(id: string, code: string, problem: string): void {
    const release = releaseOf(this.service, id);
    this.service = withRelease(this.service, transition(release, failed(this.#nowMs, { code, problem, log: [] })));
  }

  #start(release: string, ordinal: number): void {
    const id = `rooms-${release}-${ordinal}`;
    const build = this.#script.builds[Number(release.slice(1)) - 1];
    if (!build || this.#fates.has(id)) return;
    const started = this.#instances.filter((one) => one.release === release).length;
    const exits = build.kind === "broken" || (build.kind !== "mute" && started < build.falseStarts);
    const readyAtMs = this.#nowMs + build.startMs;
    const life = build.livesMs[started - build.falseStarts] ?? Number.POSITIVE_INFINITY;
    if (exits) this.#fates.set(id, { readyAtMs: END_MS, exitAtMs: readyAtMs, error: "INSTANCE_EXITED" });
    else if (build.kind === "mute")
      this.#fates.set(id, { readyAtMs: END_MS, exitAtMs: readyAtMs, error: "INSTANCE_UNHEALTHY" });
    else this.#fates.set(id, { readyAtMs, exitAtMs: readyAtMs + life, error: "INSTANCE_EXITED" });
    this.#instances.push(
      sampleInstance(id, { name: "starting", sinceMs: this.#nowMs }, { release, startedAtMs: this.#nowMs }),
    );
  }

  #stop(id: string): void {
    if (this.#sessions.some(({ instance }) => instance === id)) return;
    this.#instances = this.#instances.map((one) =>
      one.id === id && (one.state.name === "ready" || one.state.name === "starting")
        ? toInstanceState(one, { name: "draining", sinceMs: this.#nowMs })
        : one,
    );
  }

  #counts(): Map<string, SessionCount> {
    const counts = new Map<string, SessionCount>();
    for (const { instance } of this.#sessions) {
      const open = (counts.get(instance)?.open ?? 0) + 1;
      counts.set(instance, { open, lingering: 0, connections: open, wedged: 0 });
    }
    return counts;
  }
}

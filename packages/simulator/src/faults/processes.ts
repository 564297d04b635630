import {
  HoldoverError,
  isAlive,
  toInstanceState,
  type Instance,
  type InstanceExit,
  type InstanceSpec,
  type Platform,
} from "@holdover/core";
import type { Life, VirtualTime } from "./virtual-time.ts";

/** What becomes of the instances of a build. */
export interface Build {
  /** `sound` ones get ready; `broken` ones exit before; `mute` ones never get healthy; `refused` ones fail the gate. */
  readonly kind: "sound" | "broken" | "mute" | "refused";
  /** Until an instance is healthy, or exits. */
  readonly startMs: number;
  /** Until one exits that was asked to stop. */
  readonly exitMs: number;
}

/** Ended instances of a release that are remembered. */
const KEPT = 10;
/** How late the platform sees that a process which is no child of its own has ended, ms. */
const SEEN_WITHIN_MS = 200;

/** One process of the machine. It is there whether a host watches it or not. */
interface Running {
  instance: Instance;
  readonly build: Build;
  readonly startTimeoutMs: number;
  readonly healthyAtMs: number;
  runs: boolean;
  /** It was asked to stop, and exits then. */
  exitsAtMs: number | null;
}

/** A platform as a host has it. */
export interface HostPlatform extends Platform {
  /** Finds what an earlier host left running. */
  adopt(): void;
}

/** The processes of the machine and what is recorded of them. Both outlive every host. */
export class Processes {
  readonly #time: VirtualTime;
  readonly #draw: () => number;
  readonly #buildOf: (service: string, release: string) => Build;
  readonly #all = new Map<string, Running>();
  /** Told of each process that has ended. */
  #seen: (one: Running) => void = () => {};
  #ports = 10_000;

  constructor(time: VirtualTime, draw: () => number, buildOf: (service: string, release: string) => Build) {
    this.#time = time;
    this.#draw = draw;
    this.#buildOf = buildOf;
  }

  runs(id: string): boolean {
    return this.#all.get(id)?.runs ?? false;
  }

  /** The host has seen that it ended. */
  isOver(id: string): boolean {
    const instance = this.#all.get(id)?.instance;
    return instance === undefined || !isAlive(instance);
  }

  running(): Instance[] {
    return [...this.#all.values()].filter((one) => one.runs).map((one) => one.instance);
  }

  /** It dies by itself. */
  kill(id: string): void {
    const one = this.#all.get(id);
    if (one) this.#exit(one);
  }

  /** @param stopping is told before an instance is asked to stop */
  platform(life: Life, stopping: (id: string) => void): HostPlatform {
    const listeners = new Set<() => void>();
    let view: readonly Instance[] | null = null;
    const publish = (): void => {
      view = [...this.#all.values()].map((one) => one.instance);
      for (const listener of listeners) listener();
    };
    const become = (one: Running, state: Instance["state"]): void => {
      one.instance = toInstanceState(one.instance, state);
      publish();
    };
    const finish = (one: Running, error: string | null = null): void => {
      if (!isAlive(one.instance)) return;
      one.instance = ended(one.instance, life.now(), error);
      this.#forgetOldest(one.instance);
      publish();
    };
    const watchStart = (one: Running): void => {
      const startedMs = this.#time.nowMs;
      if (one.build.kind === "mute") {
        life.after(one.startTimeoutMs, () => {
          if (one.instance.state.name !== "starting") return;
          one.runs = false;
          finish(one, "INSTANCE_UNHEALTHY");
        });
      } else if (one.build.kind !== "broken") {
        life.after(one.healthyAtMs - startedMs, () => {
          if (one.runs && one.instance.state.name === "starting") become(one, { name: "ready", sinceMs: life.now() });
        });
      }
    };
    return {
      adopt: () => {
        this.#seen = (one) => void life.after(this.#draw() * SEEN_WITHIN_MS, () => finish(one));
        for (const one of this.#all.values()) {
          if (!isAlive(one.instance)) continue;
          if (!one.runs) one.instance = ended(one.instance, life.now(), null);
          else if (one.instance.state.name === "starting") watchStart(one);
        }
        publish();
      },
      start: async (spec) => {
        await new Promise<void>((resolve) => void life.after(1 + this.#draw() * 4, resolve));
        if (this.#all.has(spec.id)) return;
        const one = this.#begin(spec, life.now());
        this.#all.set(spec.id, one);
        publish();
        watchStart(one);
      },
      stop: async (id, graceMs) => {
        const one = this.#all.get(id);
        if (!one || !isAlive(one.instance) || one.instance.state.name === "draining") return;
        stopping(id);
        become(one, { name: "draining", sinceMs: life.now() });
        one.exitsAtMs = this.#time.nowMs + Math.min(graceMs, one.build.exitMs);
        this.#time.after(one.exitsAtMs - this.#time.nowMs, () => this.#exit(one));
      },
      instances: () => view,
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  }

  #begin(spec: InstanceSpec, nowMs: number): Running {
    if (this.#draw() < 0.01) {
      throw new HoldoverError("INSTANCE_NOT_STARTED", { instance: spec.id, problem: "too many open files" });
    }
    const build = this.#buildOf(spec.service, spec.release);
    const one: Running = {
      instance: {
        id: spec.id,
        service: spec.service,
        release: spec.release,
        host: "127.0.0.1",
        port: (this.#ports += 1),
        pid: null,
        logFile: `/logs/${spec.id}.log`,
        state: { name: "starting", sinceMs: nowMs },
        startedAtMs: nowMs,
        readyAtMs: 0,
      },
      build,
      startTimeoutMs: spec.health.startTimeout,
      healthyAtMs: this.#time.nowMs + build.startMs,
      runs: true,
      exitsAtMs: null,
    };
    if (build.kind === "broken") this.#time.after(build.startMs, () => this.#exit(one));
    return one;
  }

  #exit(one: Running): void {
    if (!one.runs) return;
    one.runs = false;
    this.#seen(one);
  }

  #forgetOldest({ service, release }: Instance): void {
    const over = [...this.#all.values()]
      .map((one) => one.instance)
      .filter((one) => one.service === service && one.release === release && !isAlive(one))
      .toSorted((a, b) => b.state.sinceMs - a.state.sinceMs);
    for (const { id } of over.slice(KEPT)) this.#all.delete(id);
  }
}

function ended(instance: Instance, nowMs: number, error: string | null): Instance {
  const exit = { atMs: nowMs, code: null, signal: null };
  if (instance.state.name === "draining") {
    const asked: InstanceExit = { ...exit, error: null, problem: "it has ended" };
    return toInstanceState(instance, { name: "stopped", sinceMs: nowMs, exit: asked });
  }
  const lost: InstanceExit = { ...exit, error: error ?? "INSTANCE_EXITED", problem: "it has ended by itself" };
  return toInstanceState(instance, { name: "lost", sinceMs: nowMs, exit: lost });
}

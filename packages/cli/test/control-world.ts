import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcessPlatform, type ProcessPlatform } from "@holdover/adapters/platforms/process";
import { openControlStore } from "@holdover/adapters/stores/sqlite";
import { Control, type Builds, type ReleaseView } from "@holdover/control";
import {
  HoldoverError,
  isAlive,
  serviceDefinition,
  type AuditEntry,
  type Clock,
  type ServiceDefinition,
} from "@holdover/core";
import { REPOSITORY } from "@holdover/testkit/cluster";
import { MemoryDataPlane } from "@holdover/testkit/memory-data-plane";
import { vi } from "vitest";
import { systemClock } from "../src/system-clock.ts";

type Store = ReturnType<typeof openControlStore>;

/** Control as a process has it, with a death of its own. */
interface Life {
  readonly control: Control;
  readonly store: Store;
  readonly died: Promise<void>;
  /** As a SIGKILL: nothing that it had begun goes on, and nothing is put away. */
  kill(): void;
}

/** Control on a real store and real processes; the data plane and the builds are a test's own. */
export interface ControlWorld {
  readonly platform: ProcessPlatform;
  readonly dataPlane: MemoryDataPlane;
  readonly builds: { gates: number; snapshot: (from: string) => Promise<{ digest: string }>; missing: Set<string> };
  control(): Control;
  store(): Store;
  /** Kills control, and starts another on what is stored. */
  restart(declared?: Readonly<Record<string, ServiceDefinition>>): Promise<void>;
  /** From now on control dies when so many more of its steps are done, before it hears of the last. Resolves when it has. */
  dieAfter(steps: number): Promise<void>;
  /** How many steps control has done since it was last started, or since {@link dieAfter}. */
  steps(): number;
  /** From now on the store takes nothing, or takes all again. */
  refuseWrites(refuse: boolean): void;
  audit(): Promise<AuditEntry[]>;
  /** Waits until a release is in a state. */
  becomes(service: string, release: string, state: ReleaseView["state"]): Promise<ReleaseView>;
  /** Ids of the instances that are alive. */
  alive(): string[];
  dispose(): Promise<void>;
}

export const definition = (given: Record<string, unknown> = {}): ServiceDefinition =>
  serviceDefinition.parse({
    command: ["node", "instance.js"],
    env: { BEHAVIOUR: "serve" },
    health: { path: "/health" },
    // Empty releases retire at once, or every test would wait for the floor.
    retention: { policy: "until-empty", floor: "0s" },
    ...given,
  });

const never = <T>(): Promise<T> => new Promise(() => {});

/** @param time control's own; the platform always has that of this machine */
export async function createControlWorld(
  declared: Readonly<Record<string, ServiceDefinition>>,
  time: Clock = systemClock,
): Promise<ControlWorld> {
  const dir = await mkdtemp(join(tmpdir(), "holdover-control-"));
  const snapshot = join(dir, "snapshot");
  await mkdir(snapshot);
  await cp(join(REPOSITORY, "packages/testkit/apps/instance.js"), join(snapshot, "instance.js"));
  await writeFile(join(snapshot, "package.json"), '{ "type": "module" }');
  const platform = createProcessPlatform({ stateDir: dir, clock: systemClock });
  await platform.adopt();
  const dataPlane = new MemoryDataPlane();
  const builds: ControlWorld["builds"] = {
    gates: 0,
    snapshot: async () => ({ digest: "sha256:1" }),
    missing: new Set(),
  };
  let refusing = false;
  let steps = 0;
  let diesAfter = Number.POSITIVE_INFINITY;
  let life: Life;

  const begin = async (services: Readonly<Record<string, ServiceDefinition>> | null): Promise<void> => {
    const store = openControlStore(join(dir, "control.db"));
    const { promise: died, resolve } = Promise.withResolvers<void>();
    const endings = new Set<() => void>();
    let dead = false;
    const kill = (): void => {
      dead = true;
      for (const end of endings) end();
      store.close();
      resolve();
    };
    const step = async <T>(effect: () => Promise<T>): Promise<T> => {
      if (dead) return never();
      const result = await effect();
      steps += 1;
      if (!dead && steps >= diesAfter) kill();
      return dead ? never() : result;
    };
    const saved = <T>(effect: () => Promise<T>): Promise<T> =>
      refusing
        ? Promise.reject(new HoldoverError("STORE_FAILED", { file: "control.db", problem: "disk full" }))
        : step(effect);
    const until = (end: () => void): (() => void) => {
      endings.add(end);
      return () => {
        endings.delete(end);
        end();
      };
    };
    const clock: Clock = {
      now: () => time.now(),
      after: (ms, run) => until(time.after(ms, () => !dead && run())),
    };
    const { releases, audit, history, timeline } = store;
    const localBuilds: Builds = {
      pathOf: () => snapshot,
      snapshot: (from) => step(() => builds.snapshot(from)),
      remove: () => step(async () => {}),
      check: async (_service, _command, from) => {
        if (builds.missing.has(from)) throw new HoldoverError("DIRECTORY_MISSING", { dir: from });
      },
      gate: () =>
        step(async () => {
          builds.gates += 1;
          return { passed: true as const };
        }),
      gateLog: () => join(dir, "gate.log"),
      tail: async () => [],
    };
    const control = new Control({
      releases: {
        services: () => releases.services(),
        saveServices: (records, because) => saved(() => releases.saveServices(records, because)),
        instances: () => releases.instances(),
        saveInstances: (instances, because) => saved(() => releases.saveInstances(instances, because)),
        tableNumber: () => releases.tableNumber(),
        saveTableNumber: (number, because) => saved(() => releases.saveTableNumber(number, because)),
      },
      audit: { ...audit, append: (drafts) => saved(() => audit.append(drafts)) },
      history: { ...history, record: (host, events, auditOf) => saved(() => history.record(host, events, auditOf)) },
      forecasts: store.forecasts,
      timeline: { ...timeline, append: (samples) => saved(() => timeline.append(samples)) },
      platform: {
        start: (spec) => step(() => platform.start(spec)),
        stop: (id, graceMs) => step(() => platform.stop(id, graceMs)),
        instances: () => (dataPlane.linked() ? platform.instances() : null),
        subscribe: (listener) => until(platform.subscribe(listener)),
      },
      dataPlane: {
        apply: (table) => step(() => dataPlane.apply(table)),
        release: (id) => step(() => dataPlane.release(id)),
        ages: (query) => dataPlane.ages(query),
        open: (request) => dataPlane.open(request),
        move: (move) => step(() => dataPlane.move(move)),
        samples: (request) => dataPlane.samples(request),
        formats: (request) => step(() => dataPlane.formats(request)),
        sessions: (query) => dataPlane.sessions(query),
        counts: () => dataPlane.counts(),
        tableInForce: () => dataPlane.tableInForce(),
        traffic: () => dataPlane.traffic(),
        address: () => dataPlane.address(),
        closing: () => dataPlane.closing(),
        shutdown: () => dataPlane.shutdown(),
        subscribe: (listener) => until(dataPlane.subscribe(listener)),
        onEvents: (listener) => until(dataPlane.onEvents(listener)),
      },
      linked: () => dataPlane.linked(),
      builds: localBuilds,
      invitations: { epoch: () => 0, environment: async () => ({}) },
      clock,
      version: "0",
      log: () => {},
    });
    life = { control, store, died, kill };
    await control.start(services);
  };
  await begin(declared);

  const alive = (): string[] => (platform.instances() ?? []).filter(isAlive).map(({ id }) => id);
  return {
    platform,
    dataPlane,
    builds,
    control: () => life.control,
    store: () => life.store,
    restart: async (services) => {
      life.kill();
      diesAfter = Number.POSITIVE_INFINITY;
      await begin(services ?? null);
    },
    dieAfter: (count) => {
      steps = 0;
      diesAfter = count;
      return life.died;
    },
    steps: () => steps,
    refuseWrites: (refuse) => {
      refusing = refuse;
    },
    audit: () => life.store.audit.read(0, 10_000),
    becomes: (service, release, state) =>
      vi.waitFor(
        () => {
          const view = life.control.release(service, release);
          if (view.state !== state) throw new Error(`${release} is ${view.state} (${view.failure?.problem ?? ""})`);
          return view;
        },
        { timeout: 20_000, interval: 20 },
      ),
    alive,
    dispose: async () => {
      life.kill();
      await platform.stopAll(5000);
      await platform.close();
      await rm(dir, { recursive: true });
    },
  };
}

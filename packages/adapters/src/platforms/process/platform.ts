import { randomUUID } from "node:crypto";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import {
  formatDuration,
  HoldoverError,
  isAlive,
  problemOf,
  toInstanceState,
  type Clock,
  type Instance,
  type InstanceSpec,
  type InstanceState,
  type Platform,
} from "@holdover/core";
import { adoptRecords } from "./adoption.ts";
import { exitWords, spawnGroup } from "./child.ts";
import { beyondKept, removeLogs } from "./ended-instances.ts";
import { childEnvironment } from "./environment.ts";
import { pause } from "./health-check.ts";
import { watchLife, watchStart, type Watched, type WorkerHealth } from "./health-watch.ts";
import { keepLogsBounded } from "./log-rotation.ts";
import { createPorts, INSTANCE_HOST } from "./ports.ts";
import { groupRuns, signalGroup, startTimeOf, stillRuns } from "./process-table.ts";
import { createRecords, type InstanceRecord } from "./records.ts";

/** How often a process that is no child of ours is looked at. Where connections to it fail, `look` comes before that. */
const ADOPTED_EVERY_MS = 50;
/**
 * When an instance that refused or reset a connection is looked at again, ms after the look before. The kernel closes the
 * sockets of a process a moment before it can be seen to have ended, and a shell sees the end of what it runs before its own.
 */
const LOOK_AGAIN_MS = [1, 2, 4, 8, 16, 32];
/** How often a draining group whose leader has gone is looked at. */
const GROUP_EVERY_MS = 100;
/** A process that SIGKILL has not ended by then is stuck in the kernel: it runs no code of its own any more. */
const KILL_WAIT_MS = 2000;

export interface ProcessPlatformOptions {
  /** Absolute path. Holds `instances/` (one record each) and `logs/<service>/<release>/<instance>.log`. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log?: (event: string, detail: Readonly<Record<string, unknown>>) => void;
  /** The worker of an instance, for those whose health is its word. */
  readonly worker?: (instance: string) => WorkerHealth;
  /** What instances inherit; the host's own environment unless given. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Instances as processes of this machine. They outlive the host process: a later one adopts them. */
export interface ProcessPlatform extends Platform {
  /** Finds what an earlier host process left running. Once, before anything else: until then nothing is known. */
  adopt(): Promise<void>;
  /**
   * Looks at once whether the process of an instance still runs, since a connection to it was refused or reset. That alone
   * proves nothing: only a process that has ended makes it lost. Resolves when its end has been told to those who
   * subscribed, and else after some 60 ms. Never rejects; does nothing for an instance that is not known.
   */
  look(id: string): Promise<void>;
  /** Stops watching. The instances live on. */
  close(): Promise<void>;
  /** Stops every instance and resolves when all have ended. Nothing is started any more. */
  stopAll(graceMs: number): Promise<void>;
}

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** In place of the words for code and signal, where something else happened. */
  readonly problem?: string;
}

interface Supervised {
  instance: Instance;
  readonly health: InstanceSpec["health"];
  readonly startToken: string;
  startTime: string | null;
  /** Null for an adopted one: it is no child, and nobody tells us of its end. */
  child: ChildProcess | null;
  /** Ends whatever health check runs. */
  readonly watch: AbortController;
  /** Aborted when its end has been told. */
  readonly ended: AbortController;
  stopByMs: number | null;
  termSent: boolean;
  /** Why we killed it; undefined while we have not, or where a stop was asked for. */
  hang?: string;
  killed: boolean;
  /** The leader has gone, while others of its group may still run. */
  exit?: Exit;
  cancelTimer: () => void;
}

export function createProcessPlatform(options: ProcessPlatformOptions): ProcessPlatform {
  const { stateDir, clock, log = () => undefined, environment = process.env } = options;
  const records = createRecords(join(stateDir, "instances"));
  const ports = createPorts();
  /** In the order in which they were started. */
  const all = new Map<string, Supervised>();
  const starts = new Map<string, Promise<void>>();
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let view: readonly Instance[] | null = null;
  let phase: "new" | "open" | "stopping" = "new";
  let cancelPoll = (): void => undefined;
  let stopRotation = (): void => undefined;

  function publish(): void {
    view = [...all.values()].map((one) => one.instance);
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        log("listener-failed", { problem: problemOf(error) });
      }
    }
  }

  function save(one: Supervised): Promise<void> {
    return records.save(recordOf(one)).catch((error: unknown) => {
      // It is written again with the next change; until then the next host sees an older state and looks for itself.
      log("record-failed", { instance: one.instance.id, problem: problemOf(error) });
    });
  }

  function become(one: Supervised, state: InstanceState): Promise<void> {
    one.instance = toInstanceState(one.instance, state);
    const saved = save(one);
    publish();
    return saved;
  }

  async function startOnce(spec: InstanceSpec): Promise<void> {
    const startedAtMs = clock.now();
    const port = await ports.reserve();
    const instance: Instance = {
      id: spec.id,
      service: spec.service,
      release: spec.release,
      host: INSTANCE_HOST,
      port,
      pid: null,
      logFile: join(stateDir, "logs", spec.service, spec.release, `${spec.id}.log`),
      state: { name: "starting", sinceMs: startedAtMs },
      startedAtMs,
      readyAtMs: 0,
    };
    const one = supervised(instance, spec.health, randomUUID());
    try {
      // Before the spawn: a host that dies in between must leave a trace of what it began.
      await records.save(recordOf(one));
      const child = spawnGroup({
        command: spec.command,
        cwd: spec.snapshot,
        logFile: instance.logFile,
        environment: childEnvironment(environment, spec.snapshot, {
          ...spec.env,
          PORT: String(port),
          HOST: INSTANCE_HOST,
          HOLDOVER_SERVICE: spec.service,
          HOLDOVER_RELEASE: spec.release,
          HOLDOVER_INSTANCE: spec.id,
          HOLDOVER_START: one.startToken,
        }),
      });
      one.child = child;
      child.once("exit", (code, signal) => leaderGone(one, { code, signal }));
      child.once("error", (error) => {
        if (child.pid === undefined)
          finish(one, { code: null, signal: null, problem: `it could not be started: ${problemOf(error)}` });
      });
      one.instance = { ...instance, pid: child.pid ?? null };
    } catch (error) {
      ports.release(port);
      await records.remove(spec.id).catch(() => undefined);
      throw new HoldoverError(
        "INSTANCE_NOT_STARTED",
        { instance: spec.id, problem: problemOf(error) },
        { cause: error },
      );
    }
    all.set(spec.id, one);
    publish();
    if (one.instance.pid === null) return;
    one.startTime = await startTimeOf(one.instance.pid);
    await save(one);
    log("instance-started", { instance: spec.id, pid: one.instance.pid, port });
    if (one.instance.state.name === "starting") void superviseStart(one, spec.health.startTimeout);
  }

  async function superviseStart(one: Supervised, forMs: number): Promise<void> {
    const verdict = await watchStart(watched(one), forMs, clock, one.watch.signal);
    if (verdict === undefined || one.watch.signal.aborted) return;
    if (!verdict.healthy) return hang(one, verdict.problem);
    const ready = toInstanceState(one.instance, { name: "ready", sinceMs: clock.now() });
    // Stored before it is told: were the host to die in between, one that has sessions would be seen to start again.
    await save({ ...one, instance: ready });
    if (one.watch.signal.aborted) return;
    one.instance = ready;
    publish();
    log("instance-ready", { instance: one.instance.id, afterMs: one.instance.readyAtMs - one.instance.startedAtMs });
    await superviseLife(one);
  }

  async function superviseLife(one: Supervised): Promise<void> {
    const problem = await watchLife(watched(one), clock, one.watch.signal, (inARow) => {
      log("instance-silent", { instance: one.instance.id, checks: inARow });
    });
    if (problem !== undefined && !one.watch.signal.aborted) hang(one, problem);
  }

  function watched({ instance, health }: Supervised): Watched {
    if (instance.pid === null) throw new Error(`instance ${instance.id} has no process to watch`);
    const own = { port: instance.port, pid: instance.pid, health };
    return health.worker && options.worker ? { ...own, worker: options.worker(instance.id) } : own;
  }

  function hang(one: Supervised, problem: string): void {
    log("instance-unhealthy", { instance: one.instance.id, problem });
    one.hang = problem;
    kill(one);
  }

  /** Ends the whole group; what follows is told by the end of its leader. */
  function kill(one: Supervised): void {
    one.watch.abort();
    one.cancelTimer();
    one.killed = true;
    signal(one, "SIGKILL");
    if (one.exit) return finish(one, one.exit);
    one.cancelTimer = clock.after(KILL_WAIT_MS, () => {
      log("instance-stuck", { instance: one.instance.id, pid: one.instance.pid });
      finish(one, { code: null, signal: "SIGKILL" });
    });
  }

  function signal(one: Supervised, name: NodeJS.Signals): void {
    if (one.instance.pid !== null) signalGroup(one.instance.pid, one.startTime, name);
  }

  /** The process that we started has ended. Others of its group may have hands of their own in what is being drained. */
  function leaderGone(one: Supervised, exit: Exit): void {
    one.watch.abort();
    one.child = null;
    if (!isAlive(one.instance) || one.exit) return;
    one.exit = exit;
    if (one.instance.state.name === "draining" && !one.killed) void awaitGroup(one, exit);
    else finish(one, exit);
  }

  async function awaitGroup(one: Supervised, exit: Exit): Promise<void> {
    const runs = (): Promise<boolean> | boolean =>
      one.instance.pid !== null && !one.killed && !closing.signal.aborted && groupRuns(one.instance.pid);
    while (await runs()) await pause(GROUP_EVERY_MS, clock, closing.signal);
    if (!closing.signal.aborted) finish(one, exit);
  }

  function finish(one: Supervised, exit: Exit): void {
    if (!isAlive(one.instance)) return;
    one.watch.abort();
    one.cancelTimer();
    // What the leader left behind would go on with its port and its files.
    signal(one, "SIGKILL");
    ports.release(one.instance.port);
    const { id, state } = one.instance;
    const atMs = clock.now();
    const { code, signal: signalName } = exit;
    const words = exit.problem ?? exitWords(code, signalName);
    const end = { atMs, code, signal: signalName };
    if (one.hang !== undefined) {
      void become(one, {
        name: "lost",
        sinceMs: atMs,
        exit: { ...end, error: "INSTANCE_UNHEALTHY", problem: one.hang },
      });
    } else if (state.name === "draining") {
      const problem = one.killed ? `${words}, as it had not ended by itself within its grace` : words;
      void become(one, { name: "stopped", sinceMs: atMs, exit: { ...end, error: null, problem } });
    } else {
      void become(one, { name: "lost", sinceMs: atMs, exit: { ...end, error: "INSTANCE_EXITED", problem: words } });
    }
    one.ended.abort();
    log("instance-ended", { instance: id, state: one.instance.state.name, problem: words });
    forgetOldest();
  }

  function forgetOldest(): void {
    const oldest = beyondKept([...all.values()].map((one) => one.instance));
    for (const { id, logFile } of oldest) {
      all.delete(id);
      records
        .remove(id)
        .then(() => removeLogs(logFile))
        .catch((error: unknown) => log("forget-failed", { instance: id, problem: problemOf(error) }));
    }
    if (oldest.length > 0) publish();
  }

  /** SIGTERM once, SIGKILL at the end of the grace. */
  function drain(one: Supervised, graceMs: number): void {
    one.cancelTimer();
    one.cancelTimer = clock.after(graceMs, () => {
      log("instance-killed", { instance: one.instance.id, grace: formatDuration(graceMs) });
      kill(one);
    });
    if (one.termSent) return;
    one.termSent = true;
    signal(one, "SIGTERM");
    void save(one);
  }

  async function stop(id: string, graceMs: number): Promise<void> {
    await starts.get(id)?.catch(() => undefined);
    const one = all.get(id);
    if (!one || !isAlive(one.instance)) return;
    const byMs = clock.now() + graceMs;
    if (one.instance.state.name === "draining") {
      // Asked for again: sooner is possible, later is not.
      if (byMs >= (one.stopByMs ?? Infinity) || one.killed) return;
      one.stopByMs = byMs;
      return drain(one, graceMs);
    }
    one.watch.abort();
    one.stopByMs = byMs;
    // Stored first: were the host to die now, the next one would otherwise not know that this end is wanted.
    await become(one, { name: "draining", sinceMs: clock.now() });
    if (isAlive(one.instance) && !closing.signal.aborted) drain(one, Math.max(0, byMs - clock.now()));
  }

  /** Sees for itself whether an adopted one has ended. The end of a child is told by its parent, with how it came about. */
  function lookAtAdopted(one: Supervised): void {
    const { pid } = one.instance;
    if (!isAlive(one.instance) || one.child || one.exit || pid === null || one.startTime === null) return;
    if (!stillRuns(pid, one.startTime)) leaderGone(one, { code: null, signal: null });
  }

  async function look(id: string): Promise<void> {
    const one = all.get(id);
    if (!one) return;
    const over = AbortSignal.any([one.ended.signal, closing.signal]);
    lookAtAdopted(one);
    for (const afterMs of LOOK_AGAIN_MS) {
      if (!isAlive(one.instance) || over.aborted) return;
      await pause(afterMs, clock, over);
      lookAtAdopted(one);
    }
  }

  function pollAdopted(): void {
    for (const one of all.values()) lookAtAdopted(one);
    cancelPoll = clock.after(ADOPTED_EVERY_MS, pollAdopted);
  }

  async function adopt(): Promise<void> {
    if (phase !== "new") throw misuse("adopt() was called twice");
    phase = "open";
    const found = await adoptRecords(records, clock.now(), log);
    if (closing.signal.aborted) return;
    for (const { record, leader } of found) {
      const one = supervised(record.instance, record.health, record.startToken);
      one.stopByMs = record.stopByMs;
      one.termSent = record.termSent;
      all.set(one.instance.id, one);
      if (!leader) {
        await save(one);
        continue;
      }
      one.startTime = leader.startTime;
      one.instance = { ...one.instance, pid: leader.pid };
      ports.keep(one.instance.port);
      await save(one);
      resume(one);
    }
    forgetOldest();
    publish();
    pollAdopted();
    const running = (): string[] => (view ?? []).filter(isAlive).map(({ logFile }) => logFile);
    stopRotation = keepLogsBounded(running, clock, log);
  }

  function resume(one: Supervised): void {
    const { state, startedAtMs } = one.instance;
    const nowMs = clock.now();
    const { startTimeout } = one.health;
    if (state.name === "ready") void superviseLife(one);
    // The clock may have jumped while no host ran: never longer than the whole, and time for one look at least.
    if (state.name === "starting") {
      void superviseStart(one, Math.min(startTimeout, Math.max(1000, startedAtMs + startTimeout - nowMs)));
    }
    if (state.name === "draining") drain(one, Math.max(0, (one.stopByMs ?? nowMs) - nowMs));
  }

  return {
    adopt,
    instances: () => view,
    subscribe(listener) {
      // A function of its own, so that subscribing the same one twice is told twice.
      const called = (): void => listener();
      listeners.add(called);
      return () => listeners.delete(called);
    },
    async start(spec) {
      const underWay = starts.get(spec.id);
      if (underWay) return underWay;
      if (all.has(spec.id)) return;
      if (view === null) throw misuse("start() was called before adopt()");
      if (phase !== "open" || closing.signal.aborted) throw misuse("start() was called on a platform that is closing");
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(spec.id)) throw misuse(`"${spec.id}" cannot be the id of an instance`);
      const started = startOnce(spec).finally(() => starts.delete(spec.id));
      starts.set(spec.id, started);
      return started;
    },
    stop,
    look,
    async stopAll(graceMs) {
      if (phase === "open") phase = "stopping";
      await Promise.allSettled(starts.values());
      const allEnded = new Promise<void>((resolve) => {
        const look = (): void => {
          if (![...all.values()].every((one) => !isAlive(one.instance))) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
      });
      await Promise.all([...all.keys()].map((id) => stop(id, graceMs)));
      await allEnded;
      await records.settled();
    },
    async close() {
      closing.abort();
      cancelPoll();
      stopRotation();
      await Promise.allSettled(starts.values());
      for (const one of all.values()) {
        one.watch.abort();
        one.cancelTimer();
        one.child?.removeAllListeners();
        one.child?.unref();
      }
      await records.settled();
    },
  };
}

function supervised(instance: Instance, health: InstanceSpec["health"], startToken: string): Supervised {
  return {
    instance,
    health,
    startToken,
    startTime: null,
    child: null,
    watch: new AbortController(),
    ended: new AbortController(),
    stopByMs: null,
    termSent: false,
    killed: false,
    cancelTimer: () => undefined,
  };
}

function recordOf(one: Supervised): InstanceRecord {
  const { instance, health, startToken, startTime, stopByMs, termSent } = one;
  return { format: 1, instance, health, startToken, startTime, stopByMs, termSent };
}

function misuse(problem: string): HoldoverError {
  return new HoldoverError("INTERNAL", { problem });
}

import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createProcessPlatform, keepLogsBounded, type ProcessPlatform } from "@holdover/adapters/platforms/process";
import { verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { openHostStore, type HostStore } from "@holdover/adapters/stores/sqlite";
import {
  asHoldoverError,
  isAlive,
  readTrust,
  type AuditEntry,
  type HoldoverConfig,
  type HoldoverError,
  type LinkCall,
  type SignedText,
  type Trust,
} from "@holdover/core";
import {
  createRouter,
  Membership,
  openHostLink,
  type HostLink,
  type Router,
  type WorkerServer,
} from "@holdover/router";
import { parseAddress } from "./address.ts";
import { keepControl } from "./control-child.ts";
import type { ControlConfig } from "./control-process.ts";
import { watchHealth } from "./host-health.ts";
import { createLogger } from "./logger.ts";
import { makeStateDir, secretAt, stateDirOf, writeWhole, type StateDir } from "./state-dir.ts";
import { systemClock } from "./system-clock.ts";

/** How long control may take to take in the last events before host goes all the same; they are on disk, ms. */
const DRAIN_MS = 3000;
/** How often it is asked whether control has them, ms. */
const DRAIN_EVERY_MS = 20;

/** What a session that was moved had kept waits for its next owner for so long, ms. */
const MOVED_KEPT_MS = 3_600_000;
const FORGET_EVERY_MS = 60_000;

export interface HostOptions {
  readonly config: HoldoverConfig;
  /** Relative directories in the configuration are relative to this one. */
  readonly configDir: string;
  readonly stateDir: string;
  readonly onReady: (addresses: Addresses) => void | Promise<void>;
  /** Something that a person who watches wants to know. */
  readonly onNotice: (entry: AuditEntry) => void;
  readonly onClosing: (live: number, how: "finish" | "cut") => void;
}

export interface Addresses {
  /** Where clients connect. */
  readonly listen: string;
  /** The control API. */
  readonly api: string;
  /** File with the API's token. */
  readonly tokenFile: string;
}

/** A host that runs. */
export interface Host {
  /** Admits no new session, waits for the live ones up to the grace, stops the instances and ends. `now`: cuts them, paced. */
  close(now: boolean): void;
  /** Resolves when everything is put away. */
  readonly closed: Promise<void>;
}

/**
 * Puts the host process together: router, local platform, and the control process beside it.
 * Where it fails, all that it began has ended again; instances of an earlier host, which it found running, run on.
 * @throws HoldoverError ALREADY_RUNNING, STORE_CORRUPT, STORE_NEWER, PORT_TAKEN, LISTEN_FAILED, CONTROL_NOT_UP, and what
 * control meets on its start
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const { config } = options;
  const state = stateDirOf(options.stateDir);
  await makeStateDir(state);
  const store = openHostStore(state.hostDatabase);
  const logger = createLogger("host", `${state.logs}/host.log`);
  const log = (event: string, detail: object): void => logger.info(detail, event);
  // No instance gets less time to exit than its service was promised.
  const stopGraceMs = Math.max(...Object.values(config.services).map((service) => service.stopGrace));
  const undo: (() => unknown)[] = [() => store.close()];
  const stopRotation = keepLogsBounded(() => logsOf(state), systemClock, log);
  undo.push(stopRotation);
  try {
    let workers: WorkerServer | undefined;
    const platform = createProcessPlatform({
      stateDir: state.dir,
      clock: systemClock,
      // One that is asked for before the router is there counts as alive.
      worker: (instance) => ({
        state: () => workers?.state(instance) ?? "away",
        answers: async (withinMs) => workers?.answers(instance, withinMs) ?? true,
      }),
      log,
    });
    undo.push(() => platform.close());
    await platform.adopt();
    if (!(platform.instances() ?? []).some(isAlive)) undo.push(() => platform.stopAll(stopGraceMs));

    const stopForgetting = forgetMovedNowAndThen(store, log);
    undo.push(stopForgetting);
    let changed = (): void => {};
    const membership = new Membership({
      verify: verifyEd25519,
      authority: {
        issue: async (request) => (await link.ask({ name: "issue", ...request })) as SignedText,
        rejected: (rejection) => link.tell({ name: "rejected", ...rejection }),
      },
      host: store.identity,
      // On the wall: certificates run out while a machine sleeps.
      nowMs: Date.now,
      known: (instance) => (platform.instances() ?? []).find((one) => one.id === instance && isAlive(one)),
      load: () => trustAt(state.trust),
    });
    const router = await createRouter({
      pins: store.pins,
      tableCache: store.table,
      clock: systemClock,
      limits: {
        sessions: config.limits.sessions,
        headBytes: config.limits.headBytes,
        headTimeoutMs: config.limits.headTimeout,
      },
      trustForwarded: config.trustForwarded,
      accessLog: config.accessLog,
      secret: Buffer.from(await secretAt(state.cookieSecret), "hex"),
      look: (instance) => platform.look(instance),
      workers: {
        checkpoints: store.checkpoints,
        membership,
        host: store.identity,
        drain: (member, drain) => link.tell({ name: "drain", ...member, drain }),
      },
      changed: () => changed(),
      log,
    });
    undo.push(() => router.close());
    ({ workers } = router);
    await workers.listen(state.workerSocket);
    await loseTheUnknown(router, platform);
    const { host, port } = parseAddress(config.listen, "listen");
    const bound = await router.listen(host, port);
    const listen = `http://${bound.host.includes(":") ? `[${bound.host}]` : bound.host}:${bound.port}`;
    await secretAt(state.token);
    await writeWhole(state.config, JSON.stringify(controlConfig(options)));

    const health = watchHealth({ store, sessionsMost: config.limits.sessions, clock: systemClock });
    undo.push(() => health.stop());
    const closing = Promise.withResolvers<void>();
    const startClosing = (how: "finish" | "cut"): void => {
      if (!router.closing()) systemClock.after(config.shutdownGrace, () => router.startClosing("cut"));
      router.startClosing(how);
      options.onClosing(router.openCount(), how);
    };
    const link = openHostLink({
      socketPath: state.linkSocket,
      clock: systemClock,
      host: store.identity,
      address: listen,
      pins: store.pins,
      instances: () => platform.instances(),
      counts: (links) => ({
        tableNumber: router.table().number,
        closing: router.closing(),
        sessions: Object.fromEntries(router.counts()),
        traffic: router.traffic(),
        health: health.read(links),
      }),
      handle: (call) =>
        handle(call, { store, router, platform, membership, workerSocket: state.workerSocket, startClosing }),
      log,
    });
    undo.push(() => link.close());
    changed = () => {
      link.countsChanged();
      if (router.closing() && router.openCount() === 0) closing.resolve();
    };
    let dead = new Set<string>();
    const look = (): void => {
      const ended = (platform.instances() ?? []).filter((one) => !isAlive(one)).map((one) => one.id);
      for (const id of ended) if (!dead.has(id)) void router.lose(id);
      dead = new Set(ended);
      link.instancesChanged();
    };
    platform.subscribe(look);
    // What died since it was adopted has told nobody.
    look();

    const control = await keepControl(state, systemClock, options.onNotice, log);
    undo.push(() => control.stop());
    const addresses = { listen, api: await control.listening, tokenFile: state.token };
    await writeWhole(state.hostPid, `${process.pid}\n`);
    // The last of the files: who waits for it finds all the others.
    await writeWhole(state.addresses, `${JSON.stringify(addresses)}\n`);
    await options.onReady(addresses);

    const closed = closing.promise.then(() =>
      each(
        [
          () => router.endConnections(),
          () => platform.stopAll(stopGraceMs),
          () => router.close(),
          () => drained(link),
          () => control.stop(),
          () => link.close(),
          () => health.stop(),
          () => platform.close(),
          () => stopForgetting(),
          () => store.close(),
          () => stopRotation(),
          () => removeRunFiles(state),
        ],
        log,
      ),
    );
    return { close: (now) => startClosing(now ? "cut" : "finish"), closed };
  } catch (thrown) {
    await each(undo.toReversed(), log).catch(() => {});
    throw thrown;
  }
}

/**
 * Takes each step, in order, whatever becomes of the others: a full disk must not leave instances or control behind.
 * @throws HoldoverError the first of what the steps threw
 */
async function each(steps: readonly (() => unknown)[], log: (event: string, detail: object) => void): Promise<void> {
  const failures: HoldoverError[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (thrown) {
      const failure = asHoldoverError(thrown);
      log("shutdown.failed", { problem: failure.message });
      failures.push(failure);
    }
  }
  if (failures[0]) throw failures[0];
}

interface Parts {
  readonly store: HostStore;
  readonly router: Router;
  readonly platform: ProcessPlatform;
  readonly membership: Membership;
  readonly workerSocket: string;
  readonly startClosing: (how: "finish" | "cut") => void;
}

async function handle(call: LinkCall, parts: Parts): Promise<unknown> {
  const { store, router, platform, membership, workerSocket, startClosing } = parts;
  switch (call.name) {
    case "apply":
      router.apply(membership.accept(call.table, router.table().number));
      router.workers.tableChanged();
      return router.table().number;
    case "release":
      return router.release(call.instance);
    case "sessions":
      return router.sessions(call.query);
    case "ages":
      return router.ages(call.query);
    case "open":
      return router.workers.open(call.request);
    case "move":
      return router.move(call.move);
    case "formats":
      return router.workers.formats(call.request);
    case "samples":
      return router.workers.samples(call.request);
    case "start":
      return platform.start({ ...call.spec, env: { ...call.spec.env, HOLDOVER_LINK: workerSocket } });
    case "stop":
      return platform.stop(call.instance, call.graceMs);
    case "copy":
      return store.copyTo(call.file);
    case "shutdown":
      return startClosing(call.now ? "cut" : "finish");
  }
}

/** Removes the checkpoints of moved sessions that nobody came back to. Returns what ends it. */
function forgetMovedNowAndThen(store: HostStore, log: (event: string, detail: object) => void): () => void {
  let cancel = (): void => {};
  const forget = (): void => {
    try {
      const count = store.forgetMoved(systemClock.now() - MOVED_KEPT_MS);
      if (count > 0) log("checkpoints.forgotten", { count });
    } catch (thrown) {
      log("checkpoints.not-forgotten", { problem: asHoldoverError(thrown).message });
    }
    cancel = systemClock.after(FORGET_EVERY_MS, forget);
  };
  cancel = systemClock.after(FORGET_EVERY_MS, forget);
  return () => cancel();
}

/** Whom to trust, as control keeps it; null before it first has. */
function trustAt(file: string): Trust | null {
  return existsSync(file) ? readTrust(readFileSync(file, "utf8")) : null;
}

/** What the table or a pin names and the platform does not find alive died while no host ran: nobody else saw it. */
async function loseTheUnknown(router: Router, platform: ProcessPlatform): Promise<void> {
  const alive = new Set((platform.instances() ?? []).filter(isAlive).map((instance) => instance.id));
  const listed = router.table().services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => one.id)));
  for (const instance of new Set([...listed, ...router.counts().keys()])) {
    if (!alive.has(instance)) await router.lose(instance);
  }
}

/** Waits until control has the last instances and events. */
async function drained(link: HostLink): Promise<void> {
  const untilMs = systemClock.now() + DRAIN_MS;
  link.instancesChanged();
  link.countsChanged();
  while (!(await link.drained()) && systemClock.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_EVERY_MS));
  }
}

function logsOf(state: StateDir): string[] {
  return ["host.log", "control.log", "up.log"].map((name) => join(state.logs, name));
}

function controlConfig({ config, configDir }: HostOptions): ControlConfig {
  const services = Object.entries(config.services).map(([name, definition]) => {
    const dir = definition.dir === undefined ? undefined : resolve(configDir, definition.dir);
    return [name, { ...definition, dir }] as const;
  });
  const sinks = config.audit.sinks.map((sink) => ("file" in sink ? { file: resolve(configDir, sink.file) } : sink));
  const { cert, key } = config.apiTls ?? {};
  const apiTls = cert && key ? { cert: resolve(configDir, cert), key: resolve(configDir, key) } : null;
  return { api: config.api, apiTls, auditSinks: sinks, services: Object.fromEntries(services) };
}

async function removeRunFiles(state: StateDir): Promise<void> {
  for (const file of [state.addresses, state.hostPid, state.controlPid, state.config]) await rm(file, { force: true });
}

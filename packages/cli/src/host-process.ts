import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { createProcessPlatform, type ProcessPlatform } from "@holdover/adapters/platforms/process";
import { openHostStore } from "@holdover/adapters/stores/sqlite";
import { isAlive, type AuditEntry, type HoldoverConfig, type LinkCall } from "@holdover/core";
import { createRouter, openHostLink, type Router } from "@holdover/router";
import { pino } from "pino";
import { parseAddress } from "./address.ts";
import { keepControl } from "./control-child.ts";
import type { ControlConfig } from "./control-process.ts";
import { makeStateDir, secretAt, stateDirOf, writeWhole, type StateDir } from "./state-dir.ts";
import { systemClock } from "./system-clock.ts";

/** How long control may take to take in the last events before host goes all the same; they are on disk, ms. */
const DRAIN_MS = 3000;
/** How long instances may take to exit after SIGTERM when everything goes down, ms. */
const STOP_GRACE_MS = 10_000;

export interface HostOptions {
  readonly config: HoldoverConfig;
  /** Relative directories in the configuration are relative to this one. */
  readonly configDir: string;
  readonly stateDir: string;
  readonly onReady: (addresses: Addresses) => void;
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
 * @throws HoldoverError ALREADY_RUNNING, STORE_CORRUPT, STORE_NEWER, PORT_TAKEN, LISTEN_FAILED
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const { config } = options;
  const state = stateDirOf(options.stateDir);
  await makeStateDir(state);
  const store = openHostStore(state.hostDatabase);
  const logger = pino(
    { name: "host", timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: `${state.logs}/host.log`, mode: 0o600, sync: true }),
  );
  const log = (event: string, detail: object): void => logger.info(detail, event);
  const undo: (() => unknown)[] = [() => store.close()];
  try {
    const platform = createProcessPlatform({ stateDir: state.dir, clock: systemClock, log });
    undo.push(() => platform.close());
    await platform.adopt();

    let changed = (): void => {};
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
      secret: Buffer.from(await secretAt(state.cookieSecret), "hex"),
      changed: () => changed(),
      log,
    });
    undo.push(() => router.close());
    await loseTheDead(router, platform);
    const { host, port } = parseAddress(config.listen, "listen");
    const bound = await router.listen(host, port);
    const listen = `http://${bound.host.includes(":") ? `[${bound.host}]` : bound.host}:${bound.port}`;
    await secretAt(state.token);
    await writeWhole(state.config, JSON.stringify(controlConfig(options)));

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
      counts: () => ({
        tableNumber: router.table().number,
        closing: router.closing(),
        sessions: Object.fromEntries(router.counts()),
        traffic: router.traffic(),
      }),
      handle: (call) => handle(call, router, platform, startClosing),
      log,
    });
    undo.push(() => link.close());
    changed = () => {
      link.countsChanged();
      if (router.closing() && router.openCount() === 0) closing.resolve();
    };
    const dead = new Set<string>();
    platform.subscribe(() => {
      for (const instance of platform.instances() ?? []) {
        if (isAlive(instance) || dead.has(instance.id)) continue;
        dead.add(instance.id);
        void router.lose(instance.id);
      }
      link.instancesChanged();
    });

    const control = await keepControl(state, systemClock, options.onNotice, log);
    undo.push(() => control.stop());
    const addresses = { listen, api: await control.listening, tokenFile: state.token };
    await writeWhole(state.hostPid, `${process.pid}\n`);
    // The last of the files: who waits for it finds all the others.
    await writeWhole(state.addresses, `${JSON.stringify(addresses)}\n`);
    options.onReady(addresses);

    const closed = closing.promise.then(async () => {
      await router.close();
      await platform.stopAll(STOP_GRACE_MS);
      link.instancesChanged();
      await drained(link);
      await control.stop();
      link.close();
      await platform.close();
      store.close();
      await removeRunFiles(state);
    });
    return { close: (now) => startClosing(now ? "cut" : "finish"), closed };
  } catch (thrown) {
    for (const step of undo.toReversed()) await step();
    throw thrown;
  }
}

async function handle(
  call: LinkCall,
  router: Router,
  platform: ProcessPlatform,
  startClosing: (how: "finish" | "cut") => void,
): Promise<unknown> {
  switch (call.name) {
    case "apply":
      router.apply(call.table);
      return router.table().number;
    case "release":
      return router.release(call.instance);
    case "sessions":
      return router.sessions(call.query);
    case "start":
      return platform.start(call.spec);
    case "stop":
      return platform.stop(call.instance, call.graceMs);
    case "shutdown":
      return startClosing(call.now ? "cut" : "finish");
  }
}

/** What died while no host ran is lost now: nobody else saw it. */
async function loseTheDead(router: Router, platform: ProcessPlatform): Promise<void> {
  const alive = new Set((platform.instances() ?? []).filter(isAlive).map((instance) => instance.id));
  const listed = router.table().services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => one.id)));
  for (const instance of new Set([...listed, ...router.counts().keys()])) {
    if (!alive.has(instance)) await router.lose(instance);
  }
}

async function drained(link: { drained(): Promise<boolean>; countsChanged(): void }): Promise<void> {
  const until = Date.now() + DRAIN_MS;
  link.countsChanged();
  while (!(await link.drained()) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function controlConfig({ config, configDir }: HostOptions): ControlConfig {
  const services = Object.entries(config.services).map(([name, definition]) => {
    const dir = definition.dir === undefined ? undefined : resolve(configDir, definition.dir);
    return [name, { ...definition, dir }] as const;
  });
  return { api: config.api, services: Object.fromEntries(services) };
}

async function removeRunFiles(state: StateDir): Promise<void> {
  for (const file of [state.addresses, state.hostPid, state.controlPid, state.config]) await rm(file, { force: true });
}

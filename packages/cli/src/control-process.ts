import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { openControlLink } from "@holdover/adapters/dataplanes/router";
import { checkCommand, removeSnapshot, runGate, tailLog, takeSnapshot } from "@holdover/adapters/platforms/process";
import { openEd25519Signer, publicKeyPem, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { openKeyRing } from "@holdover/adapters/signers/key-ring";
import { openControlStore } from "@holdover/adapters/stores/sqlite";
import {
  Control,
  createApi,
  createAuditSigning,
  createAuditSinks,
  createAuthority,
  createMetrics,
  knownInstance,
  type Authority,
  type Builds,
} from "@holdover/control";
import {
  asHoldoverError,
  HoldoverError,
  problemOf,
  readTrust,
  writeTrust,
  type AuditEntry,
  type AuditLog,
  type AuditSinkSetting,
  type LinkAsk,
  type ServiceDefinition,
  type Trust,
} from "@holdover/core";
import { DASHBOARD_DIRECTORY } from "@holdover/dashboard";
import { parseAddress } from "./address.ts";
import { openAuditSink } from "./audit-sink.ts";
import { createLogger } from "./logger.ts";
import { stateDirOf, writeWhole, type StateDir } from "./state-dir.ts";
import { systemClock } from "./system-clock.ts";
import { VERSION } from "./version.ts";

/** What host hands to control: everything is read and checked already, so that a file edited later cannot stop it. */
export interface ControlConfig {
  readonly api: string;
  /** Paths are absolute; null: no TLS. */
  readonly apiTls: { readonly cert: string; readonly key: string } | null;
  /** Paths of files are absolute. */
  readonly auditSinks: readonly AuditSinkSetting[];
  readonly services: Readonly<Record<string, ServiceDefinition>>;
}

/** What control tells its parent. */
export type ControlMessage =
  | { readonly type: "listening"; readonly url: string }
  | { readonly type: "notice"; readonly entry: AuditEntry }
  /** For standard output, which is host's; it answers with `printed`. */
  | { readonly type: "print"; readonly text: string }
  | { readonly type: "failed"; readonly error: ReturnType<ReturnType<typeof asHoldoverError>["body"]> };

const logger = createLogger("control");
const log = (event: string, detail: object): void => logger.info(detail, event);

/** How long a change under way and the answers to calls may take at the end, ms; all of it can be cut short. */
const STOP_MS = 4000;

/**
 * Puts the control process together and runs it until its parent goes.
 * @param again not the first under this host
 */
async function runControl(state: StateDir, again: boolean): Promise<void> {
  const config = JSON.parse(await readFile(state.config, "utf8")) as ControlConfig;
  const token = (await readFile(state.token, "utf8")).trim();
  const store = openControlStore(state.controlDatabase);
  const signer = await openEd25519Signer(state.auditKey);
  await writeWhole(state.auditPublicKey, publicKeyPem(signer.publicKey));
  const signing = createAuditSigning({
    audit: store.audit,
    heads: store.signedHeads,
    signer,
    verify: verifyEd25519,
    clock: systemClock,
    log: logger,
  });
  const sinks = createAuditSinks({
    audit: store.audit,
    cursors: store.auditCursors,
    sinks: config.auditSinks.map((setting) => openAuditSink(setting, process.env)),
    clock: systemClock,
    log: logger,
  });
  const publishTrust = (trust: Trust): Promise<void> => writeWhole(state.trust, writeTrust(trust));
  const authority = await createAuthority({
    members: store.members,
    keyRing: await openKeyRing(state.membership),
    audit: store.audit,
    verify: verifyEd25519,
    clock: { ...systemClock, now: Date.now },
    published: await publishedTrust(state.trust),
    known: (instance) =>
      knownInstance(instance, link.platform.instances(), (service, release) => control.release(service, release).state),
    changed: (trust) =>
      publishTrust(trust).catch((cause: unknown) => {
        throw new HoldoverError("NOT_IN_FORCE", { problem: problemOf(cause) }, { cause });
      }),
    log: logger,
  });
  const link = await openControlLink({
    socketPath: state.linkSocket,
    clock: systemClock,
    sign: (table) => authority.signTable(table),
    answer: (ask) => answerHost(ask, authority, store.audit),
    log,
  });
  const control = new Control({
    releases: store.releases,
    audit: store.audit,
    history: store.history,
    forecasts: store.forecasts,
    timeline: store.timeline,
    platform: link.platform,
    dataPlane: link.dataPlane,
    linked: link.linked,
    builds: localBuilds(state),
    invitations: {
      epoch: () => authority.trust().epoch,
      environment: async (instance, lastsMs) => ({
        HOLDOVER_JOIN_TOKEN: await authority.invite(instance, lastsMs),
        HOLDOVER_TRUST: writeTrust(authority.trust()),
      }),
    },
    clock: systemClock,
    version: VERSION,
    log,
  });
  await publishTrust(authority.trust());
  await store.audit.append([
    {
      atMs: systemClock.now(),
      kind: "control.started",
      actor: "host",
      reason: `version ${VERSION}`,
      detail: { pid: process.pid, again },
    },
  ]);
  store.audit.subscribe((entries) => {
    for (const entry of entries) tell({ type: "notice", entry });
  });
  const metrics = createMetrics({
    status: () => control.status(),
    traffic: () => link.dataPlane.traffic(),
    link: () => link.health(),
    totals: () => store.history.totals(),
    auditHead: () => store.audit.head(),
    auditUnsigned: () => signing.isFailing(),
    auditSinks: () => sinks.states(),
    rejections: () => authority.rejections(),
    store: () => store.health(),
    openStreams: () => api.openStreams(),
  });
  const api = await createApi({
    operations: control,
    audit: store.audit,
    signing,
    auditSinks: () => sinks.states(),
    stores: () => ({ control: store.health(), host: link.health().host?.store ?? null }),
    tokens: store.tokens,
    membership: authority,
    token,
    tokenFile: state.token,
    page: DASHBOARD_DIRECTORY,
    ...(config.apiTls && { tls: config.apiTls }),
    version: VERSION,
    ready: () => control.notReady(),
    metrics: () => metrics.text(),
    copyStores: async (dir) => {
      // First host's: whatever is in it, control knows of it a moment later.
      await link.copyStore(join(dir, "host.db"));
      await store.copyTo(join(dir, "control.db"));
    },
    log: logger,
  });
  await signing.start();
  sinks.start();
  // What else can fail has not by now: an instance that it started would be left behind.
  await control.start(again ? null : config.services);
  // Before it answers: whoever was answered finds the number of who did.
  await writeWhole(state.controlPid, `${process.pid}\n`);
  const { url } = await api.listen({ socketPath: state.apiSocket, ...parseAddress(config.api, "api") });

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    // Without a parent nobody else would end it, and the next control process waits for its database.
    systemClock.after(STOP_MS, () => process.exit(1));
    await api.close();
    await control.stop();
    await link.close();
    await sinks.stop();
    await signing.stop();
    await authority.close();
    store.close();
    await rm(state.controlPid, { force: true });
    // A snapshot or a gate may still be under way; the next control process begins it again.
    process.exit(0);
  };
  // Without its host there is nothing to control, and the next host brings a control of its own.
  process.once("disconnect", () => void stop());
  process.on("message", (message) => {
    if (message === "stop") void stop();
  });
  // A terminal sends its signals to the whole group: it is host that decides when control goes.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.on("SIGHUP", () => {});
  tell({ type: "listening", url });
}

/** What the host asks for its workers, and what it tells of them. */
async function answerHost(ask: LinkAsk, authority: Authority, audit: AuditLog): Promise<unknown> {
  switch (ask.name) {
    case "issue":
      return authority.issue(ask);
    case "rejected":
      return authority.rejected(ask);
    case "drain": {
      const { service, release, instance, drain } = ask;
      const { phase, cut, reason } = drain;
      const detail = phase === "forced" ? { cut } : {};
      const atMs = systemClock.now();
      return audit.append([
        { atMs, kind: `drain.${phase}`, actor: "worker", reason, service, release, instance, detail },
      ]);
    }
  }
}

/** What was last told to trust; null where nothing was, or the file was spoiled: then the store alone counts. */
async function publishedTrust(file: string): Promise<Trust | null> {
  try {
    return readTrust(await readFile(file, "utf8"));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    logger.warn({ err: thrown, file }, "whom to trust could not be read; it is written anew");
    return null;
  }
}

function localBuilds(state: StateDir): Builds {
  const gateLog = (service: string, release: string): string => join(state.logs, service, release, "gate.log");
  return {
    pathOf: (service, release) => join(state.releases, service, release),
    snapshot: (from, to) => takeSnapshot({ from, to }),
    remove: removeSnapshot,
    check: (service, command, dir) => checkCommand(command, dir, service),
    gate: (run) =>
      runGate({
        command: [...run.command],
        cwd: run.snapshot,
        env: { ...run.env, HOLDOVER_SERVICE: run.service, HOLDOVER_RELEASE: run.release, HOLDOVER_URL: run.url },
        timeoutMs: run.timeoutMs,
        logFile: gateLog(run.service, run.release),
      }),
    gateLog,
    tail: tailLog,
  };
}

function tell(message: ControlMessage): void {
  if (process.connected) process.send?.(message);
}

const [stateDir, again] = process.argv.slice(2);
if (stateDir !== undefined) {
  runControl(stateDirOf(stateDir), again === "again").catch((thrown: unknown) => {
    const error = asHoldoverError(thrown);
    logger.error({ err: thrown, code: error.code }, "control.failed");
    const failed: ControlMessage = { type: "failed", error: error.body() };
    // Whatever half of it came up would keep the process alive.
    const exit = (): never => process.exit(1);
    if (process.send && process.connected) process.send(failed, exit);
    else exit();
  });
}

import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import {
  answerTrial,
  asHoldoverError,
  CHECKPOINT_QUOTA,
  checkQuota,
  fromWireEntry,
  HoldoverError,
  readTrust,
  toWireEntry,
  wireCheckpoint,
  type Base64,
  type HostCall,
  type JobDesk,
  type JobEnding,
  type JobOffer,
  type SessionFormat,
} from "@holdover/core";
import { z } from "zod";
import { createDrain } from "./drain.ts";
import type { Holdover, Membership } from "./holdover.ts";
import { openHostLink, type HostLink } from "./host-link.ts";
import { answerProbe, closeServer } from "./http-drain.ts";
import { OwnSession } from "./joined-session.ts";
import { verifySignature } from "./own-key.ts";
import { ReleaseWatch } from "./release-watch.ts";
import { SessionCache } from "./session-cache.ts";
import { sessionOf } from "./session.ts";
import { memoryStateLink, type StateLink } from "./state-link.ts";
import { States } from "./states.ts";

/** How long the audit log gets to hear of an end by force, ms. */
const FORCED_MS = 1000;
/** How long the first welcome may take, ms. */
const JOIN_MS = 15_000;

export interface JoinOptions {
  /** What sessions keep, in the versions that this release writes. */
  readonly formats?: readonly SessionFormat<unknown>[];
  /** Closed when this process has drained; then nothing holds the process any more. */
  readonly server?: Server;
  /** It can take sessions at once; true unless set. See {@link Holdover.ready}. */
  readonly ready?: boolean;
  /** SIGTERM drains, and a second one forces the end; true unless set. */
  readonly signals?: boolean;
  /** Takes jobs that the host offers; see AgentPool. */
  readonly jobs?: JobDesk;
  /** What somebody should look at; one line on standard error each unless set. */
  readonly warn?: (text: string) => void;
  readonly env?: NodeJS.ProcessEnv;
}

/** The environment that Holdover starts an instance with. */
interface Place extends Membership {
  readonly socketPath: string;
  readonly joinToken: string;
  readonly trust: string;
}

/**
 * Joins Holdover as the instance that this process was started as. Outside of Holdover it says so once and goes on alone:
 * sessions live in this process, and a drain waits for its connections.
 * @throws HoldoverError MEMBER_REJECTED where this process is not let in, LINK_DOWN where the host is not there in 15 s
 */
export async function joinHoldover(options: JoinOptions = {}): Promise<Holdover> {
  const { env = process.env, warn = (text) => void process.stderr.write(`holdover: ${text}\n`) } = options;
  const place = placeIn(env);
  if (!place) {
    warn("this process was not started by Holdover, so it runs alone: sessions are kept in its memory.");
    return standAlone(options, warn);
  }
  return join(place, options, warn);
}

async function join(place: Place, options: JoinOptions, warn: (text: string) => void): Promise<Holdover> {
  const { formats = [], jobs, server } = options;
  const { service, instance } = place;
  const watch = new ReleaseWatch(instance, readTrust(place.trust), verifySignature);
  const cache = new SessionCache((session) => states.leave(session, "this process has forgotten it"));
  let older: Readonly<Record<string, readonly number[]>> = {};
  let isReady = options.ready ?? true;
  /** Jobs that were accepted and are not confirmed. */
  const accepted = new Map<number, JobOffer["session"]>();

  const link: HostLink = openHostLink({
    ...place,
    formats: formats.map(({ name, version, oldest, lowest }) => ({ name, version, oldest, lowest })),
    state: () => ({
      takesJobs: jobs !== undefined,
      ready: isReady,
      draining: drain.isDraining,
      sessions: cache.held(),
    }),
    handle: (call) => answerHost(call, { jobs, accepted, endingOf, confirmed, copyState, formats }),
    welcomed: ({ lost, olderVersions }) => {
      older = olderVersions;
      for (const { key, fence } of lost) endingOf(key, fence, "lost");
    },
    table: (signed) => {
      const problem = watch.follow(signed);
      if (problem === null) return;
      warn(`a routing table is not followed: ${problem}`);
      link.call({ name: "table-refused", problem: problem.slice(0, 500) }).catch(() => {});
    },
    olderVersions: (versions) => {
      older = versions;
    },
    // The host gives them to others: what it stored of them it has ended.
    broken: () => {
      for (const job of accepted.keys()) jobs?.withdraw(job);
      accepted.clear();
    },
    warn,
  });

  const drain = createDrain(link.call);
  const endingOf = (key: string, fence: number, how: JobEnding): void => {
    cache.ending(key, fence, how);
    if (how === "lost") states.leave({ key, fence });
    jobs?.ending(key, fence, how);
  };

  const states = new States({ service, link: stateLink(link, (format) => older[format] ?? []), warn });
  const make = (key: string, fence: number, label: string | null): OwnSession =>
    new OwnSession({
      key,
      fence,
      label,
      state: states.of({ key, fence }),
      call: link.call,
    });

  const copyState = (key: string, fence: number): Promise<void> => states.copyForOlder({ key, fence }, formats);
  const sessionAt = (key: string, fence: number, label: string | null): OwnSession =>
    cache.get(key, fence, () => make(key, fence, label));
  const confirmed = (key: string, fence: number, label: string | null): void => sessionAt(key, fence, label).opened();

  const force = async (signal: string): Promise<void> => {
    const timeout = new Promise((resolve) => setTimeout(resolve, FORCED_MS));
    await Promise.race([drain.look().catch(() => {}), timeout]);
    warn(`${signal} a second time: ${drain.left} sessions are cut`);
    const told = link.call({ name: "forced", cut: drain.left, reason: `a second ${signal}` });
    await Promise.race([told.catch(() => {}), timeout]);
    process.exit(1);
  };

  const stopSignals = options.signals === false ? () => {} : onSignals(drain.begin, force);
  const close = async (): Promise<void> => {
    drain.stop();
    stopSignals();
    cache.close();
    link.close();
  };
  void drain.drained.then(async () => {
    if (server) await closeServer(server);
    await close();
  });

  const late = setTimeout(() => link.close(), JOIN_MS);
  try {
    await link.joined;
  } catch (thrown) {
    await close();
    throw thrown;
  } finally {
    clearTimeout(late);
  }

  return {
    member: { service, release: place.release, instance },
    get admission() {
      return drain.isDraining ? "existing" : (watch.view?.admission ?? "existing");
    },
    get draining() {
      return drain.isDraining;
    },
    get deadlineMs() {
      return watch.view?.deadlineMs ?? null;
    },
    sessionOf(request) {
      const known = sessionOf(request, { HOLDOVER_INSTANCE: instance });
      if (!known) return null;
      const session = sessionAt(known.key, known.fence, null);
      if (request.socket) cache.use(session, request.socket);
      return session;
    },
    async open({ key = `~${randomUUID()}`, label = null }: { key?: string; label?: string | null } = {}) {
      const { fence } = opened.parse(await link.call({ name: "open", key, label }));
      const session = sessionAt(key, fence, label);
      session.opened();
      return session;
    },
    jobSession: ({ key, fence }) => sessionAt(key, fence, null),
    async finish({ key, fence }, how) {
      await sessionAt(key, fence, null).endAs(how);
    },
    async forced(cut, reason) {
      await link.call({ name: "forced", cut, reason });
    },
    async ready(ready) {
      isReady = ready;
      await link.call({ name: "ready", ready });
    },
    beginDrain: drain.begin,
    cancelDrain: drain.cancel,
    drained: drain.drained,
    onRelease: (listener) => watch.subscribe(listener),
    probe: (request, response) =>
      answerProbe(request, response, {
        alive: () => true,
        ready: () => isReady && !drain.isDraining && watch.view?.admission !== "none",
      }),
    close,
  };
}

const opened = z.object({ fence: z.int() });

interface Asked {
  readonly jobs: JobDesk | undefined;
  /** Jobs that were accepted and are not confirmed, with the session of each. */
  readonly accepted: Map<number, JobOffer["session"]>;
  readonly confirmed: (key: string, fence: number, label: string | null) => void;
  readonly endingOf: (key: string, fence: number, how: JobEnding) => void;
  readonly copyState: (key: string, fence: number) => Promise<void>;
  readonly formats: readonly SessionFormat<unknown>[];
}

/** Does what the host asks. */
function answerHost(call: HostCall, { jobs, accepted, confirmed, endingOf, copyState, formats }: Asked): unknown {
  switch (call.name) {
    case "offer": {
      const answer = jobs?.offer(call.job) ?? { accepted: false, reason: "closed" };
      if (answer.accepted) accepted.set(call.job.id, call.job.session);
      return answer;
    }
    case "confirm": {
      const session = accepted.get(call.job);
      const { fence, openedAtMs } = call;
      // Known as held before the job begins, which may ask for its state at once.
      if (session) confirmed(session.key, fence, session.label);
      if (accepted.delete(call.job) && jobs?.confirm(call.job, { fence, openedAtMs })) return null;
      // The host ends it: it is not to be told to the next one as held here.
      if (session) endingOf(session.key, fence, "lost");
      throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: `there is no job ${call.job} here` });
    }
    case "withdraw":
      // What was not accepted, or has been withdrawn when the link broke, is nothing to the desk.
      if (accepted.delete(call.job)) jobs?.withdraw(call.job);
      return;
    case "copy-state":
      return copyState(call.key, call.fence);
    case "ping":
      return null;
    case "ending":
      return endingOf(call.key, call.fence, call.how);
    case "try-formats":
      return answerTrial(formats, call.trial, base64);
  }
}

/** The state of sessions in the host's store. */
function stateLink(link: HostLink, olderVersions: (format: string) => readonly number[]): StateLink {
  return {
    open: async ({ key, fence }) => {
      const checkpoint = wireCheckpoint.parse(await link.call({ name: "state-open", key, fence }));
      if (!checkpoint) return undefined;
      return {
        fence: checkpoint.fence,
        entries: checkpoint.entries.map((entry) => fromWireEntry(entry, base64.decode)),
      };
    },
    write: async ({ service, key, fence, entries }) => {
      // What no store takes is not sent: it may be more than a line of the link holds.
      const sizes = new Map(entries.map(({ name, bytes }) => [name, bytes.byteLength]));
      checkQuota({ service, key, fence }, sizes, CHECKPOINT_QUOTA);
      await link.call({
        name: "state-write",
        key,
        fence,
        entries: entries.map((entry) => toWireEntry(entry, base64.encode)),
      });
    },
    olderVersions,
  };
}

function standAlone(options: JoinOptions, warn: (text: string) => void): Holdover {
  const { server } = options;
  const cache = new SessionCache((session) => states.leave(session, "this process has forgotten it"));
  const drained = Promise.withResolvers<void>();
  const states = new States({ service: "alone", link: memoryStateLink(), warn });
  let isReady = options.ready ?? true;
  let draining = false;
  const make = (key: string, label: string | null): OwnSession =>
    new OwnSession({
      key,
      fence: 1,
      label,
      state: states.of({ key, fence: 1 }),
      call: null,
    });
  const close = async (): Promise<void> => {
    stopSignals();
    cache.close();
  };
  const beginDrain = async (): Promise<void> => {
    if (draining) return;
    draining = true;
    const closed = server ? closeServer(server) : Promise.resolve();
    void closed.then(() => {
      drained.resolve();
      return close();
    });
  };
  const stopSignals = options.signals === false ? () => {} : onSignals(beginDrain, () => process.exit(1));
  return {
    member: null,
    get admission() {
      return draining ? "existing" : "new";
    },
    get draining() {
      return draining;
    },
    deadlineMs: null,
    sessionOf(request, key) {
      if (key === undefined) return null;
      const session = cache.get(key, 1, () => make(key, null));
      if (request.socket) cache.use(session, request.socket);
      return session;
    },
    async open({ key = `~${randomUUID()}`, label = null }: { key?: string; label?: string | null } = {}) {
      const session = cache.get(key, 1, () => make(key, label));
      session.opened();
      return session;
    },
    jobSession: ({ key }) => cache.get(key, 1, () => make(key, null)),
    async finish({ key }, how) {
      await cache.get(key, 1, () => make(key, null)).endAs(how);
    },
    async forced() {},
    async ready(ready) {
      isReady = ready;
    },
    beginDrain,
    async cancelDrain() {
      if (!server?.listening && server) return;
      draining = false;
    },
    drained: drained.promise,
    onRelease: (listener) => {
      listener({ admission: "new", deadlineMs: null });
      return () => {};
    },
    probe: (request, response) =>
      answerProbe(request, response, { alive: () => true, ready: () => isReady && !draining }),
    close,
  };
}

/** The first SIGTERM drains, the next one forces. Returns what takes them off again. */
function onSignals(drain: () => Promise<void>, force: (signal: string) => unknown): () => void {
  let asked = false;
  const heard = (signal: string): void => {
    if (asked) return void force(signal);
    asked = true;
    drain().catch((thrown: unknown) => process.stderr.write(`holdover: ${asHoldoverError(thrown).message}\n`));
  };
  process.on("SIGTERM", heard);
  return () => void process.off("SIGTERM", heard);
}

function placeIn(env: NodeJS.ProcessEnv): Place | null {
  const { HOLDOVER_LINK, HOLDOVER_INSTANCE, HOLDOVER_SERVICE, HOLDOVER_RELEASE, HOLDOVER_JOIN_TOKEN, HOLDOVER_TRUST } =
    env;
  if (!HOLDOVER_LINK || !HOLDOVER_INSTANCE || !HOLDOVER_JOIN_TOKEN || !HOLDOVER_TRUST) return null;
  return {
    socketPath: HOLDOVER_LINK,
    instance: HOLDOVER_INSTANCE,
    service: HOLDOVER_SERVICE ?? "",
    release: HOLDOVER_RELEASE ?? "",
    joinToken: HOLDOVER_JOIN_TOKEN,
    trust: HOLDOVER_TRUST,
  };
}

const base64: Base64 = {
  encode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
  decode: (text) => Buffer.from(text, "base64"),
};

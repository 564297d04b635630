import { randomUUID } from "node:crypto";
import { readTrust, type JobEnding, type JobOffer } from "@holdover/core";
import { z } from "zod";
import { standAlone } from "./alone.ts";
import { createDrain } from "./drain.ts";
import type { Holdover, Membership } from "./holdover.ts";
import { answerHost } from "./host-calls.ts";
import { openHostLink, type HostLink } from "./host-link.ts";
import { hostStateLink } from "./host-state.ts";
import { answerProbe, closeServer } from "./http-drain.ts";
import type { JoinOptions } from "./join-options.ts";
import { OwnSession } from "./joined-session.ts";
import { verifySignature } from "./own-key.ts";
import { ReleaseWatch } from "./release-watch.ts";
import { SessionCache } from "./session-cache.ts";
import { sessionOf } from "./session.ts";
import { onSignals } from "./signals.ts";
import { States } from "./states.ts";

/** How long the audit log gets to hear of an end by force, ms. */
const FORCED_MS = 1000;
/** How long the first welcome may take, ms. */
const JOIN_MS = 15_000;

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

  const states = new States({ service, link: hostStateLink(link, (format) => older[format] ?? []), warn });
  const make = (key: string, fence: number, label: string | null): OwnSession =>
    new OwnSession({
      key,
      fence,
      label,
      state: states.of({ key, fence }),
      call: link.call,
    });

  const copyState = async (key: string, fence: number): Promise<void> => {
    await states.copyForOlder({ key, fence }, formats);
    // Nobody else here has it in mind.
    if (!cache.has(key, fence)) states.leave({ key, fence }, "nobody here uses it");
  };
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

  const stopSignals =
    options.signals === false ? () => {} : onSignals({ isDraining: () => drain.isDraining, drain: drain.begin, force });
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
      const session = sessionAt(known.key, known.fence, known.label);
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

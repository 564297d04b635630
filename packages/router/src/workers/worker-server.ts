import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import {
  asHoldoverError,
  HoldoverError,
  readCertificate,
  WORKER_PROTOCOL,
  type CheckpointStore,
  type Clock,
  type FormatTrialReport,
  type FormatTrialRequest,
  type KeptSamples,
  type OpenedSession,
  type SamplesRequest,
  type SessionRequest,
  type SignedText,
  type StaleCalls,
  type WorkerDrain,
  type WorkerHello,
} from "@holdover/core";
import type { Sessions } from "../sessions.ts";
import { Broker } from "./broker.ts";
import { samplesOf, tryFormatsOf } from "./format-trial.ts";
import { WORKER_BACK_MS } from "../table-in-force.ts";
import { CopyWalk } from "./copy-walk.ts";
import type { Membership } from "./membership.ts";
import { answerWorker } from "./worker-calls.ts";
import { openWorkerLink, type Member, type WorkerLink } from "./worker-link.ts";
import type { Worker } from "./worker.ts";
import { WorkerSessions } from "./worker-sessions.ts";

/** Links at once, those that have not said who they are among them. */
const MOST_LINKS = 2000;
/** A link that has not said hello by then is closed, ms. */
const HELLO_MS = 5000;
/** How long a format trial waits for copies that are being made, ms: thousands of sessions. What is left goes on after it. */
const TRIAL_COPIES_MS = 10_000;
/** How long a worker may take to hear of an end, ms. */
const TELL_MS = 5000;

export interface WorkerServerOptions {
  readonly sessions: Sessions;
  readonly checkpoints: CheckpointStore;
  readonly membership: Membership;
  readonly clock: Clock;
  /** This host's name. */
  readonly host: string;
  readonly newKey: () => string;
  /** What a session is called in the log, by its key. */
  readonly sessionName: (key: string) => string;
  /** Looks at once whether an instance still runs. */
  readonly look: (instance: string) => Promise<void>;
  /** A worker drains by its own word: for the audit log. */
  readonly drain: (member: Member, drain: WorkerDrain) => void;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** Where the workers of this host's instances connect: a unix socket that only this user can reach. */
export interface WorkerServer {
  /** @throws HoldoverError LISTEN_FAILED */
  listen(socketPath: string): Promise<void>;
  /** Opens a session that no connection begins. @throws HoldoverError as DataPlane.open */
  open(request: SessionRequest): Promise<OpenedSession>;
  /** @throws HoldoverError as DataPlane.formats */
  formats(request: FormatTrialRequest): Promise<FormatTrialReport>;
  /** @throws HoldoverError as DataPlane.samples */
  samples(request: SamplesRequest): Promise<KeptSamples>;
  /** What the worker of an instance says of itself. */
  state(instance: string): "away" | "joined" | "ready";
  /** Whether the program of an instance answers on its worker link. Never rejects. */
  answers(instance: string, withinMs: number): Promise<boolean>;
  /** What workers were refused because their fence is over. */
  staleCalls(): StaleCalls;
  /** The workers of a service's release that are linked now. */
  linked(service: string, release?: string): Worker[];
  /** Tells every worker of the table in force. */
  tableChanged(): void;
  /** The instance has ended. */
  lose(instance: string): void;
  close(): Promise<void>;
}

export function createWorkerServer(options: WorkerServerOptions): WorkerServer {
  const { sessions, membership, clock, log } = options;
  const workers = new Map<string, Worker>();
  const sockets = new Set<Socket>();
  const stale = { claim: 0, write: 0, attach: 0 };
  let isClosed = false;

  const copies = new CopyWalk({ living: (instance) => sessions.livingOn(instance), log });
  const broker = new Broker({
    sessions,
    worker: (instance) => jobWorker(workers.get(instance)),
    newKey: options.newKey,
    sessionName: options.sessionName,
    log,
  });

  const workerOf = (member: Member): Worker => {
    const known = workers.get(member.instance);
    if (known) return known;
    const worker: Worker = {
      member,
      sessions: new WorkerSessions(member, sessions, clock, (key, fence, how) => {
        worker.link?.call({ name: "ending", key, fence, how }, TELL_MS).catch(() => {});
      }),
      link: null,
      publicKey: "",
      takesJobs: false,
      ready: false,
      draining: false,
      isValid: true,
      formats: [],
      cancelAway: () => {},
      cancelExpiry: () => {},
    };
    workers.set(member.instance, worker);
    return worker;
  };

  const greet = (socket: Socket): void => {
    const nonce = randomBytes(24).toString("base64url");
    const cancelHello = clock.after(HELLO_MS, () => {
      log("worker.silent", { after: HELLO_MS });
      socket.destroy();
    });
    const link = openWorkerLink(socket, {
      clock,
      log,
      welcome: async (from, hello) => {
        cancelHello();
        return welcome(from, hello, nonce);
      },
      handle: (member, call) => {
        const worker = workers.get(member.instance);
        if (!worker) throw new HoldoverError("LINK_DOWN");
        return answerWorker(worker, call, {
          ...options,
          linked,
          stale: (kind) => {
            stale[kind] += 1;
          },
          admit: () => admit(worker),
          renewed: (next) => validUntil(worker, next),
        });
      },
      closed: (from, member) => {
        cancelHello();
        sockets.delete(socket);
        if (member) away(from, member);
      },
    });
    link.send({ type: "challenge", protocol: WORKER_PROTOCOL, nonce, host: options.host });
  };

  const welcome = async (link: WorkerLink, hello: WorkerHello, nonce: string): Promise<Member> => {
    if (hello.protocol !== WORKER_PROTOCOL) {
      throw new HoldoverError("LINK_MESSAGE_INVALID", {
        problem: `protocol ${hello.protocol}, not ${WORKER_PROTOCOL}`,
      });
    }
    const { member, certificate } = await membership.welcome(hello, nonce);
    // It has gone while control was asked: nobody would see it go once more.
    if (!link.isOpen()) throw new HoldoverError("LINK_DOWN");
    const worker = workerOf(member);
    // It proved to be the same: what it said on the link before has been said.
    worker.link?.close();
    worker.cancelAway();
    worker.link = link;
    worker.publicKey = hello.publicKey;
    worker.takesJobs = hello.takesJobs;
    worker.ready = hello.ready;
    worker.formats = hello.formats;
    worker.draining = hello.draining;
    validUntil(worker, certificate ?? hello.certificate);
    const lost = worker.sessions.resume(hello.sessions).map(({ key, fence }) => ({ key, fence }));
    log("worker.joined", { instance: member.instance, sessions: hello.sessions.length, lost: lost.length });
    const { service, release } = member;
    const versions = olderVersions(worker, linked(service));
    link.send({ type: "welcome", service, release, certificate, lost, olderVersions: versions });
    tellOlderVersions(service);
    worker.sessions.tellAgain();
    link.send({ type: "table", table: membership.table });
    return member;
  };

  /** Whether sessions are placed on an instance: its worker has its word in it, and so has its certificate. */
  const admit = ({ member: { instance }, draining, isValid }: Worker): void => {
    sessions.drain(instance, draining || !isValid || membership.isRevoked(instance));
  };

  const validUntil = (worker: Worker, certificate: SignedText | null): void => {
    worker.cancelExpiry();
    const untilMs = (certificate && readCertificate(certificate)?.untilMs) ?? 0;
    worker.cancelExpiry = clock.after(Math.max(0, untilMs - membership.nowMs()), () => {
      log("worker.expired", { instance: worker.member.instance });
      worker.isValid = false;
      admit(worker);
    });
    worker.isValid = true;
    admit(worker);
  };

  const away = (link: WorkerLink, member: Member): void => {
    const worker = workers.get(member.instance);
    if (worker?.link !== link || isClosed) return;
    worker.link = null;
    // Links of processes that have ended close first: it is looked at once, and not at the next poll.
    void options.look(member.instance);
    log("worker.away", { instance: member.instance });
    worker.cancelAway = clock.after(WORKER_BACK_MS, () => {
      workers.delete(member.instance);
      worker.cancelExpiry();
      worker.sessions.outlast();
    });
    tellOlderVersions(member.service);
  };

  const linked = (service: string, release?: string): Worker[] =>
    [...workers.values()].filter(
      ({ member, link }) =>
        link !== null && member.service === service && (release === undefined || member.release === release),
    );

  const tellOlderVersions = (service: string): void => {
    const others = linked(service);
    for (const worker of others) {
      const versions = olderVersions(worker, others);
      worker.link?.send({ type: "older-versions", versions });
      copies.begin(worker, versions);
    }
  };

  const server = createServer((socket) => {
    if (sockets.size >= MOST_LINKS) return void socket.destroy();
    sockets.add(socket);
    greet(socket);
  });

  return {
    listen: async (socketPath) => {
      await rm(socketPath, { force: true });
      const before = process.umask(0o177);
      try {
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          server.listen(socketPath, resolve);
        });
      } catch (cause) {
        const problem = asHoldoverError(cause).message;
        throw new HoldoverError("LISTEN_FAILED", { address: socketPath, problem, setting: "state" }, { cause });
      } finally {
        process.umask(before);
      }
    },
    open: (request) => broker.open(request),
    formats: async (request) => {
      const report = await tryFormatsOf(request, { checkpoints: options.checkpoints, linked, clock });
      // The release may be the older one: what sessions keep is copied for it before any of them can come to it.
      await within(TRIAL_COPIES_MS, copies.settled(), clock);
      return report;
    },
    samples: (request) => samplesOf(request, { checkpoints: options.checkpoints, linked, clock }),
    state: (instance) => {
      const worker = workers.get(instance);
      if (!worker?.link) return "away";
      return worker.ready ? "ready" : "joined";
    },
    answers: async (instance, withinMs) => {
      const link = workers.get(instance)?.link;
      // A program that hangs keeps its link; without one there is nothing to say, and the end of a process is seen elsewhere.
      if (!link) return true;
      return link.call({ name: "ping" }, withinMs).then(
        () => true,
        () => workers.get(instance)?.link !== link,
      );
    },
    staleCalls: () => ({ ...stale }),
    linked,
    tableChanged: () => {
      for (const worker of workers.values()) {
        worker.link?.send({ type: "table", table: membership.table });
        // Also of one that the table lists for the first time. What it holds it may finish.
        admit(worker);
      }
      // Whose worker has not joined, too.
      for (const instance of membership.revoked) sessions.drain(instance, true);
    },
    lose: (instance) => {
      const worker = workers.get(instance);
      if (!worker) return;
      workers.delete(instance);
      worker.cancelAway();
      worker.cancelExpiry();
      copies.forget(instance);
      worker.link?.close();
      worker.sessions.leaveAll();
    },
    close: async () => {
      isClosed = true;
      for (const worker of workers.values()) {
        worker.cancelAway();
        worker.cancelExpiry();
      }
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Resolves when the work is done, or the time is over. */
async function within(ms: number, work: Promise<void>, clock: Clock): Promise<void> {
  const time = Promise.withResolvers<void>();
  const cancel = clock.after(ms, time.resolve);
  await Promise.race([work, time.promise]);
  cancel();
}

function jobWorker(worker: Worker | undefined) {
  const link = worker?.link;
  if (!worker || !link) return undefined;
  return {
    takesJobs: worker.takesJobs,
    call: link.call,
    isOpen: () => link.isOpen(),
    open: (key: string, label: string | null) => worker.sessions.open(key, label),
    giveUp: (key: string, fence: number) => worker.sessions.giveUp(key, fence),
  };
}

/** By format: the versions that workers of other releases read as their own, and that are below this worker's. */
function olderVersions(worker: Worker, others: readonly Worker[]): Record<string, number[]> {
  return Object.fromEntries(
    worker.formats.map(({ name, version }) => {
      const read = others
        .filter(({ member }) => member.release !== worker.member.release)
        .flatMap(({ formats }) => formats.filter((format) => format.name === name).map((format) => format.version));
      return [name, [...new Set(read)].filter((other) => other < version).toSorted((a, b) => b - a)];
    }),
  );
}

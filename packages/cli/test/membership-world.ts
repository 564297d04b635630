import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newEd25519Key, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { openKeyRing } from "@holdover/adapters/signers/key-ring";
import { openControlStore, type ControlStore } from "@holdover/adapters/stores/sqlite";
import { createAuthority, type Authority } from "@holdover/control";
import {
  acceptTable,
  checkHello,
  HoldoverError,
  rejectionOf,
  signHello,
  type AuditEntry,
  type Challenge,
  type Hello,
  type KeyRing,
  type KnownInstance,
  type MemberStore,
  type Rejection,
  type SignedText,
  type Signer,
  type Trust,
} from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";

/** A worker process: its own key, and what it was given. */
export interface Worker {
  readonly instance: string;
  readonly signer: Signer;
  token: string | null;
  certificate: SignedText | null;
  /** How far its clock is off, ms. */
  clockOffMs: number;
}

/** What a host makes of a worker. */
type Verdict = "in" | Rejection["reason"];

interface Answer {
  readonly verdict: Verdict;
  readonly certificate: SignedText | null;
}

/** Control's authority on a disk, one host, and workers: all of it real but the links between them. */
export interface MembershipWorld {
  readonly clock: ManualClock;
  readonly store: ControlStore;
  readonly authority: Authority;
  /** What the host knows of the instances that run. */
  readonly running: Map<string, KnownInstance>;
  /** Control has not been told yet which instances run. */
  hostIsAway: boolean;
  /** As it is in the file that control writes. */
  readonly published: Trust | null;
  readonly logged: string[];
  /** Starts an instance and gives its process a token. */
  start(instance: string, as?: KnownInstance): Promise<Worker>;
  /** A worker comes to the host, which knows this trust; what is refused is audited. */
  meet(worker: Worker, trust?: Trust): Promise<Verdict>;
  /** The hello that a worker sends, to be taken by whoever listens. */
  hello(worker: Worker, challenge: Challenge): Hello;
  /** The host answers a hello. */
  answer(hello: Hello, challenge: Challenge, trust?: Trust): Promise<Answer>;
  /** @throws HoldoverError MEMBER_REJECTED */
  renew(worker: Worker): Promise<SignedText>;
  /** Control is killed and starts again on the same disk. */
  restart(between?: () => void): Promise<void>;
  /** Opens the authority with parts of its own, which may fail. */
  open(over?: { keyRing?: KeyRing; members?: MemberStore; changed?: () => Promise<void> }): Promise<void>;
  keyRing(): Promise<KeyRing>;
  keyFiles(): string[];
  readonly file: string;
  entries(kind: string): Promise<AuditEntry[]>;
  close(): Promise<void>;
}

export const ROOMS: KnownInstance = { service: "rooms", release: "v1" };
const HOST = "host-1";

export const newChallenge = (): Challenge => ({ nonce: randomBytes(32).toString("base64url"), host: HOST });

export function newWorker(instance: string, fields: Partial<Worker> = {}): Worker {
  const { signer } = newEd25519Key();
  return { instance, signer, token: null, certificate: null, clockOffMs: 0, ...fields };
}

export async function membershipWorld(): Promise<MembershipWorld> {
  const dir = mkdtempSync(join(tmpdir(), "holdover-membership-"));
  const file = join(dir, "control.db");
  const keyDir = join(dir, "membership");
  const clock = new ManualClock();
  const running = new Map<string, KnownInstance>();
  const logged: string[] = [];
  let store = openControlStore(file);
  let authority: Authority | undefined;
  let published: Trust | null = null;

  const opened = (): Authority => {
    if (!authority) throw new Error("the authority is not open");
    return authority;
  };

  const world: MembershipWorld = {
    clock,
    running,
    hostIsAway: false,
    logged,
    file,
    get store() {
      return store;
    },
    get authority() {
      return opened();
    },
    get published() {
      return published;
    },
    async open(over = {}) {
      authority = await createAuthority({
        members: over.members ?? store.members,
        keyRing: over.keyRing ?? (await openKeyRing(keyDir)),
        audit: store.audit,
        verify: verifyEd25519,
        clock,
        published,
        known: (instance) => {
          if (world.hostIsAway) throw new HoldoverError("LINK_DOWN");
          return running.get(instance) ?? null;
        },
        changed: async (trust) => {
          await over.changed?.();
          published = trust;
        },
        log: { error: (fields, message) => void logged.push(`${message}: ${String(fields["err"])}`) },
      });
      published = authority.trust();
    },
    async start(instance, as = ROOMS) {
      running.set(instance, as);
      return newWorker(instance, { token: await opened().invite({ instance, ...as }, 60_000) });
    },
    hello({ instance, signer, token, certificate, clockOffMs }, challenge) {
      return signHello(challenge, { instance, atMs: clock.now() + clockOffMs, token, certificate }, signer);
    },
    async answer(hello, challenge, trust = opened().trust()) {
      const { instance, publicKey } = hello;
      const known = running.get(instance);
      const check = { challenge, known, trust, nowMs: clock.now(), verify: verifyEd25519 };
      const checked = attempt(instance, () => checkHello(hello, check));
      if ("reason" in checked) {
        await opened().rejected(checked);
        return { verdict: checked.reason, certificate: null };
      }
      if (checked.by === "certificate") return { verdict: "in", certificate: hello.certificate };
      try {
        const { token } = checked;
        return { verdict: "in", certificate: await opened().issue({ instance, publicKey, token, certificate: null }) };
      } catch (thrown) {
        // Control audits by itself what it refuses.
        return { verdict: refusalIn(thrown, instance).reason, certificate: null };
      }
    },
    async meet(worker, trust) {
      const challenge = newChallenge();
      const { verdict, certificate } = await world.answer(world.hello(worker, challenge), challenge, trust);
      if (certificate) Object.assign(worker, { certificate, token: null });
      return verdict;
    },
    async renew({ instance, signer, certificate }) {
      return opened().issue({ instance, publicKey: signer.publicKey, token: null, certificate });
    },
    async restart(between = () => {}) {
      await authority?.close();
      store.close();
      between();
      store = openControlStore(file);
      await world.open();
    },
    keyRing: () => openKeyRing(keyDir),
    keyFiles: () =>
      readdirSync(keyDir)
        .map((name) => name.replace(/\.pem$/, ""))
        .toSorted(),
    entries: async (kind) => (await store.audit.tail(10_000)).filter((entry) => entry.kind === kind),
    async close() {
      await authority?.close();
      store.close();
      rmSync(dir, { recursive: true });
    },
  };

  await world.open();
  return world;
}

function attempt<Value extends object>(instance: string, work: () => Value): Value | Rejection {
  try {
    return work();
  } catch (thrown) {
    return refusalIn(thrown, instance);
  }
}

function refusalIn(thrown: unknown, instance: string): Rejection {
  const rejection = rejectionOf(thrown, instance);
  if (rejection) return rejection;
  throw thrown;
}

/** What a table does that a worker or a host is shown: its refusal, or its number. */
export function shown(signed: SignedText, known: { trust: Trust; number: number }): number | string {
  try {
    return acceptTable(signed, known, verifyEd25519).table.number;
  } catch (thrown) {
    if (thrown instanceof HoldoverError && thrown.code === "TABLE_REJECTED") return thrown.message;
    throw thrown;
  }
}

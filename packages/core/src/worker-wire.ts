import { z } from "zod";
import { CHECKPOINT_QUOTA, type CheckpointEntry } from "./checkpoint.ts";
import { errorBody, readMessage } from "./link-message.ts";
import { signedText } from "./signed-text.ts";

/** The worker link speaks JSON, one message a line. Host and worker are of different releases, so it changes by additions. */
export const WORKER_PROTOCOL = 1;

/** A longer line of a worker is refused: a whole checkpoint in base64, and its names. */
export const WORKER_LINE_BYTES = 4 * 1024 * 1024;

/** Calls of one end that may wait for their replies at once. */
export const WORKER_CALLS = 1000;

/** Sessions that a worker holds by itself at the most: a hello names them all, in one line. */
export const WORKER_SESSIONS = 10_000;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const id = z.int().min(1);
const fence = z.int().min(1);
const key = z.string().min(1).max(256);
const held = z.object({ key, fence });
const name = z.string().min(1).max(128);

const wireEntry = z.object({
  name,
  format: name,
  version: z.int().min(1),
  base64: z
    .string()
    .max(Math.ceil(CHECKPOINT_QUOTA.entryBytes / 3) * 4)
    .regex(BASE64),
});

const reply = z.object({ type: z.literal("reply"), id, value: z.unknown().optional(), error: errorBody.optional() });

/** What one release says of a format that it keeps sessions in. */
const formatDeclaration = z.object({
  name,
  version: z.int().min(1),
  oldest: z.int().min(1),
  lowest: z.int().min(1),
});

/** What a worker asks of its host. Each may come twice, over a link that broke in between, with the same effect as once. */
const workerCall = z.discriminatedUnion("name", [
  /** It can take sessions now, or not: for a service whose health is its worker's word. */
  z.object({ name: z.literal("ready"), ready: z.boolean() }),
  /** No session is placed on it from the answer on, or they may be again. */
  z.object({ name: z.literal("draining"), draining: z.boolean() }),
  /** Whether it may go: it is given up if no session is on it. Answered with a Released. */
  z.object({ name: z.literal("release") }),
  /** A session that this instance begins by itself, and holds. */
  z.object({ name: z.literal("open"), key, label: z.string().max(128).nullable() }),
  /** Holds a session that lives here, as a connection does. */
  z.object({ name: z.literal("attach"), ...held.shape }),
  /** Holds it no more. */
  z.object({ name: z.literal("leave"), ...held.shape }),
  /** The session is over: it ends with its last connection, at once where there is none. */
  z.object({ name: z.literal("end"), ...held.shape, how: z.enum(["hangup", "cut"]) }),
  z.object({ name: z.literal("state-open"), ...held.shape }),
  z.object({
    name: z.literal("state-write"),
    ...held.shape,
    entries: z.array(wireEntry).min(1).max(CHECKPOINT_QUOTA.entries),
  }),
  z.object({ name: z.literal("renew"), certificate: signedText }),
  /** Something that the audit log has to know. */
  z.object({ name: z.literal("forced"), cut: z.int().min(0), reason: z.string().max(500) }),
  z.object({ name: z.literal("table-refused"), problem: z.string().max(500) }),
]);

/** What a host asks of a worker. */
const hostCall = z.discriminatedUnion("name", [
  z.object({
    name: z.literal("offer"),
    job: z.object({
      id,
      session: z.object({ key, label: z.string().nullable() }),
      agent: z.string().max(128),
      tenant: z.string().max(128).nullable(),
      payload: z.unknown(),
    }),
  }),
  /** The job is its own: the session is stored, under this fence. */
  z.object({ name: z.literal("confirm"), job: id, fence, openedAtMs: z.number() }),
  z.object({ name: z.literal("withdraw"), job: id }),
  /** A session that it holds is being ended. */
  z.object({ name: z.literal("ending"), ...held.shape, how: z.enum(["moved", "cut", "lost"]) }),
  /** Copies what a session keeps for the older releases that run; see older-versions.ts. */
  z.object({ name: z.literal("copy-state"), ...held.shape }),
  /** Whether its program still runs. */
  z.object({ name: z.literal("ping") }),
  /** Tries its session formats; what is asked and answered is in format-trial.ts. */
  z.object({ name: z.literal("try-formats"), trial: z.unknown() }),
]);

/** By format. */
const olderVersions = z.record(z.string(), z.array(z.int()));

const fromWorker = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    instance: z.string().max(256),
    publicKey: z.string().max(64),
    atMs: z.number(),
    /** The first time the join token, from then on the certificate. */
    token: z.string().max(128).nullable(),
    certificate: signedText.nullable(),
    proof: z.string().max(128),
    formats: z.array(formatDeclaration).max(CHECKPOINT_QUOTA.entries),
    /** It takes jobs that are offered. */
    takesJobs: z.boolean(),
    ready: z.boolean(),
    draining: z.boolean(),
    /** What it holds since before the link broke; `endsWith`: a session that is over when the worker leaves it. */
    sessions: z.array(held.extend({ endsWith: z.boolean() })).max(WORKER_SESSIONS),
  }),
  z.object({ type: z.literal("call"), id, call: workerCall }),
  reply,
]);

const fromHost = z.discriminatedUnion("type", [
  z.object({ type: z.literal("challenge"), protocol: z.int(), nonce: z.string(), host: z.string() }),
  z.object({
    type: z.literal("welcome"),
    service: z.string(),
    release: z.string(),
    certificate: signedText.nullable(),
    /** Of the sessions in its hello those that are its own no more. */
    lost: z.array(held),
    /** As in `older-versions`: what it writes first has its copies already. */
    olderVersions,
  }),
  /** The table in force. Null: the host has none that is signed. */
  z.object({ type: z.literal("table"), table: signedText.nullable() }),
  /** Versions of formats that other releases which run read, and that are older than this worker's. */
  z.object({ type: z.literal("older-versions"), versions: olderVersions }),
  /** A message was not understood, or it was not welcome. With `final`, nothing else comes on this link. */
  z.object({ type: z.literal("refused"), final: z.boolean(), error: errorBody }),
  z.object({ type: z.literal("call"), id, call: hostCall }),
  reply,
]);

const callHead = z.object({ type: z.literal("call"), id });

export type FromWorker = z.output<typeof fromWorker>;
export type FromHost = z.output<typeof fromHost>;
export type WorkerHello = Extract<FromWorker, { readonly type: "hello" }>;
export type WorkerCall = z.output<typeof workerCall>;
export type HostCall = z.output<typeof hostCall>;
export type FormatDeclaration = z.output<typeof formatDeclaration>;
export type WireEntry = z.output<typeof wireEntry>;

export function encodeWorkerMessage(message: FromWorker | FromHost): string {
  return `${JSON.stringify(message)}\n`;
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readFromWorker(line: string): FromWorker {
  return readMessage(fromWorker, line);
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readFromHost(line: string): FromHost {
  return readMessage(fromHost, line);
}

/** The number of the call that a line is which cannot be read otherwise; null: it is none. */
export function callIdIn(line: string): number | null {
  try {
    return callHead.safeParse(JSON.parse(line)).data?.id ?? null;
  } catch {
    return null;
  }
}

/** What a reply to `state-open` carries. */
export const wireCheckpoint = z.object({ fence: z.int(), entries: z.array(wireEntry) }).nullable();

/** @param base64 of bytes, with Node's means, which core has not */
export function toWireEntry(entry: CheckpointEntry, base64: (bytes: Uint8Array) => string): WireEntry {
  return { name: entry.name, format: entry.format, version: entry.version, base64: base64(entry.bytes) };
}

export function fromWireEntry(entry: WireEntry, bytesOf: (base64: string) => Uint8Array): CheckpointEntry {
  return { name: entry.name, format: entry.format, version: entry.version, bytes: bytesOf(entry.base64) };
}

import { z } from "zod";
import { errorBody, readMessage } from "./link-message.ts";
import { formatTrialRequest } from "./format-gate.ts";
import { hostHealth } from "./host-health.ts";
import { latencies } from "./latencies.ts";
import { samplesRequest } from "./saved-samples.ts";
import { REJECTION_REASONS } from "./member-rejection.ts";
import { sessionMove } from "./session-move.ts";
import { sessionRequest } from "./session-request.ts";
import { signedText } from "./signed-text.ts";

/** The control link speaks JSON, one message a line. Both ends must speak the same version. */
export const LINK_PROTOCOL = 6;

/** A longer line closes the link: 300 services of 200 instances are some 6 MB. */
export const LINK_LINE_BYTES = 16 * 1024 * 1024;

const pin = z.object({
  service: z.string(),
  key: z.string(),
  release: z.string(),
  instance: z.string(),
  fence: z.int(),
  openedAtMs: z.number(),
  label: z.string().nullable(),
});

const endedSession = pin.extend({
  reason: z.enum(["hangup", "expired", "moved", "cut", "lost"]),
  endedAtMs: z.number(),
  connectionsClosed: z.int(),
});

const eventBase = z.object({ seq: z.int(), atMs: z.number() });
const sessionEvent = z.discriminatedUnion("kind", [
  eventBase.extend({ kind: z.literal("ended"), session: endedSession }),
  eventBase.extend({ kind: z.literal("disrupted"), pin, connections: z.int() }),
  eventBase.extend({ kind: z.literal("placed-anew"), pin, from: z.string() }),
]);

const exit = z.object({
  atMs: z.number(),
  code: z.int().nullable(),
  signal: z.string().nullable(),
  error: z.string().nullable(),
  problem: z.string(),
});

const instanceState = z.discriminatedUnion("name", [
  z.object({ name: z.literal("starting"), sinceMs: z.number() }),
  z.object({ name: z.literal("ready"), sinceMs: z.number() }),
  z.object({ name: z.literal("draining"), sinceMs: z.number() }),
  z.object({ name: z.literal("stopped"), sinceMs: z.number(), exit }),
  z.object({ name: z.literal("lost"), sinceMs: z.number(), exit }),
]);

const instance = z.object({
  id: z.string(),
  service: z.string(),
  release: z.string(),
  host: z.string(),
  port: z.int(),
  pid: z.int().nullable(),
  logFile: z.string(),
  state: instanceState,
  startedAtMs: z.number(),
  readyAtMs: z.number(),
});

const instanceSpec = z.object({
  id: z.string(),
  service: z.string(),
  release: z.string(),
  snapshot: z.string(),
  command: z.array(z.string()),
  env: z.record(z.string(), z.string()),
  health: z.object({
    path: z.string().optional(),
    worker: z.boolean().optional(),
    startTimeout: z.number(),
    interval: z.number(),
    timeout: z.number(),
  }),
});

const call = z.discriminatedUnion("name", [
  /** A table with whom to trust, signed: see trust.ts. */
  z.object({ name: z.literal("apply"), table: signedText }),
  z.object({ name: z.literal("release"), instance: z.string() }),
  z.object({
    name: z.literal("sessions"),
    query: z.object({
      service: z.string().optional(),
      release: z.string().optional(),
      key: z.string().optional(),
      search: z.string().optional(),
      state: z.enum(["open", "lingering"]).optional(),
      order: z.enum(["oldest", "newest"]).optional(),
      limit: z.int(),
    }),
  }),
  z.object({
    name: z.literal("ages"),
    query: z.object({ service: z.string(), by: z.enum(["release", "instance"]) }),
  }),
  z.object({ name: z.literal("open"), request: sessionRequest }),
  z.object({ name: z.literal("move"), move: sessionMove }),
  z.object({ name: z.literal("formats"), request: formatTrialRequest }),
  z.object({ name: z.literal("samples"), request: samplesRequest }),
  z.object({ name: z.literal("start"), spec: instanceSpec }),
  z.object({ name: z.literal("stop"), instance: z.string(), graceMs: z.number() }),
  /** A copy of all that the host has stored, to a file that is not there yet. */
  z.object({ name: z.literal("copy"), file: z.string() }),
  z.object({ name: z.literal("shutdown"), now: z.boolean() }),
]);

/** What control asks of a host; each is answered by one `reply` of the same id. */
export type LinkCall = z.output<typeof call>;

const workerDrain = z.object({
  phase: z.enum(["started", "cancelled", "forced"]),
  /** Sessions that were cut by it. */
  cut: z.int(),
  reason: z.string(),
});

/** A drain that somebody began at a worker itself: by a signal, or by the application. */
export type WorkerDrain = z.output<typeof workerDrain>;

const ask = z.discriminatedUnion("name", [
  /** A certificate for a worker that brought a join token, or one for a certificate that runs out. */
  z.object({
    name: z.literal("issue"),
    instance: z.string(),
    publicKey: z.string(),
    token: z.string().nullable(),
    certificate: signedText.nullable(),
  }),
  /** A worker was refused: for the audit log. */
  z.object({
    name: z.literal("rejected"),
    instance: z.string(),
    reason: z.enum(REJECTION_REASONS),
    problem: z.string(),
  }),
  /** What a worker does by its own word: for the audit log. */
  z.object({
    name: z.literal("drain"),
    service: z.string(),
    release: z.string(),
    instance: z.string(),
    drain: workerDrain,
  }),
]);

/** What a host asks of control, or tells it; each is answered by one `answer` of the same id. */
export type LinkAsk = z.output<typeof ask>;

/** What control sends to a host. */
const toHost = z.discriminatedUnion("type", [
  z.object({ type: z.literal("welcome"), protocol: z.int() }),
  z.object({ type: z.literal("call"), id: z.int(), call }),
  z.object({ type: z.literal("answer"), id: z.int(), value: z.unknown().optional(), error: errorBody.optional() }),
  /** All session events up to this number are stored. */
  z.object({ type: z.literal("events-stored"), upToSeq: z.int() }),
]);

/**
 * What a host sends to control. `hello` comes first, then `instances` and `counts`, and again after every change; `counts`
 * every few seconds all the same, so that one that says nothing is known to be stuck.
 */
const toControl = z.discriminatedUnion("type", [
  z.object({ type: z.literal("hello"), protocol: z.int(), host: z.string(), address: z.string() }),
  z.object({ type: z.literal("instances"), instances: z.array(instance) }),
  z.object({
    type: z.literal("counts"),
    tableNumber: z.int(),
    closing: z.boolean(),
    sessions: z.record(
      z.string(),
      z.object({ open: z.int(), lingering: z.int(), connections: z.int(), wedged: z.int() }),
    ),
    traffic: z.object({
      requests: z.int(),
      upgrades: z.int(),
      connections: z.int(),
      refused: z.record(z.string(), z.int()),
      placing: latencies,
      added: z.object({ known: latencies, placed: latencies }),
      stale: z.object({ claim: z.int(), write: z.int(), attach: z.int() }),
    }),
    health: hostHealth,
  }),
  z.object({ type: z.literal("events"), events: z.array(sessionEvent) }),
  z.object({
    type: z.literal("reply"),
    id: z.int(),
    value: z.unknown().optional(),
    error: errorBody.optional(),
  }),
  z.object({ type: z.literal("ask"), id: z.int(), ask }),
]);

export type ToHost = z.output<typeof toHost>;
export type ToControl = z.output<typeof toControl>;

export function encodeMessage(message: ToHost | ToControl): string {
  return `${JSON.stringify(message)}\n`;
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readToHost(line: string): ToHost {
  return readMessage(toHost, line);
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readToControl(line: string): ToControl {
  return readMessage(toControl, line);
}

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HoldoverError } from "@holdover/core";
import type { InstanceView, ReleaseView, ServiceView, StatusView } from "./api-client.ts";
import { stateDirOf } from "./state-dir.ts";

/** One call that the API got. */
interface Call {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly body: unknown;
  readonly actor: string;
}

/** What the API answers: a value or a HoldoverError. */
export type Handler = (call: Call) => unknown;
/** Instead of an answer the connection is cut. */
export const DROP = Symbol("drop");
/** What a newer Holdover may say: a code that this one does not have. */
export const UNKNOWN_ERROR = {
  error: { code: "FROM_LATER", what: "The moon is full.", next: "Wait.", details: {} },
};
/** No answer ever comes. */
export const SILENCE = Symbol("silence");

/** A directory with a holdover.yaml, and something that plays its control process on a real unix socket. */
export interface FakeApi {
  readonly dir: string;
  readonly calls: Call[];
  /** `GET /v1/status` → handler; a path without an entry is unknown. */
  readonly handlers: Map<string, Handler>;
  start(): Promise<void>;
  /** Takes the socket away, as a control process that ends does. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export async function fakeApi(config: string): Promise<FakeApi> {
  const dir = await mkdtemp(join(tmpdir(), "holdover-cli-"));
  await writeFile(join(dir, "holdover.yaml"), config);
  const socket = stateDirOf(join(dir, ".holdover")).apiSocket;
  await mkdir(dirname(socket), { recursive: true });
  const calls: Call[] = [];
  const handlers = new Map<string, Handler>();
  let server: Server | undefined;
  const api: FakeApi = {
    dir,
    calls,
    handlers,
    async start() {
      const started = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const { method = "", url: target = "", headers } = request;
          const body: unknown = text === "" ? undefined : JSON.parse(text);
          const call = { method, target, body, actor: String(headers["holdover-actor"]) };
          calls.push(call);
          const answer = answerOf(handlers, call);
          if (answer === SILENCE) return;
          if (answer === DROP) return request.socket.destroy();
          const failed = answer instanceof HoldoverError;
          const status = failed ? answer.status : answer === UNKNOWN_ERROR ? 500 : 200;
          response.writeHead(status, { "content-type": "application/json" });
          response.end(JSON.stringify(failed ? { error: answer.body() } : answer));
        });
      });
      server = started;
      await new Promise<void>((resolve) => started.listen(socket, resolve));
    },
    async stop() {
      const ended = server;
      server = undefined;
      if (ended) await new Promise((resolve) => ended.close(resolve));
    },
    async remove() {
      await api.stop();
      await rm(dir, { recursive: true });
    },
  };
  return api;
}

function answerOf(handlers: ReadonlyMap<string, Handler>, call: Call): unknown {
  const path = call.target.split("?", 1)[0] ?? "";
  const handler = handlers.get(`${call.method} ${path}`);
  return handler ? handler(call) : new HoldoverError("ROUTE_UNKNOWN", { method: call.method, path });
}

/** The moment of the canned views, epoch time in ms. */
export const NOW_MS = 1_700_000_000_000;

export function instanceView(id: string, fields: Partial<InstanceView> = {}): InstanceView {
  const [service = "", release = ""] = id.split("-");
  return {
    id,
    service,
    release,
    state: "ready",
    sinceMs: NOW_MS - 60_000,
    startedAtMs: NOW_MS - 61_000,
    address: "127.0.0.1:41001",
    pid: 4711,
    sessions: { open: 0, lingering: 0, connections: 0 },
    problem: null,
    ...fields,
  };
}

const ADMISSION = {
  starting: "none",
  ready: "none",
  ramping: "new",
  current: "new",
  retained: "existing",
  expiring: "existing",
  retired: "none",
  failed: "none",
} as const;

export function releaseView(id: string, state: ReleaseView["state"], fields: Partial<ReleaseView> = {}): ReleaseView {
  return {
    id,
    service: "rooms",
    state,
    sinceMs: NOW_MS - 192_000,
    createdAtMs: NOW_MS - 200_000,
    currentAtMs: 0,
    admission: ADMISSION[state],
    percent: 0,
    then: "promote",
    dir: "/srv/rooms",
    digest: "sha256:0123456789abcdef",
    instancesWanted: 1,
    instances: [],
    sessions: { open: 0, lingering: 0, connections: 0 },
    retention: null,
    problem: null,
    failure: null,
    ...fields,
  };
}

export function serviceView(releases: readonly ReleaseView[], fields: Partial<ServiceView> = {}): ServiceView {
  return {
    name: "rooms",
    hosts: [],
    path: "/",
    current: releases.find(({ state }) => state === "current")?.id ?? null,
    sessions: { open: 2, lingering: 1, connections: 3 },
    releases: [...releases],
    ...fields,
  };
}

export function statusView(services: readonly ServiceView[], fields: Partial<StatusView> = {}): StatusView {
  return {
    nowMs: NOW_MS,
    version: "0.1.0",
    startedAtMs: NOW_MS - 3_600_000,
    router: { linked: true, address: "http://127.0.0.1:8080", closing: false, tableIssued: 7, tableInForce: 7 },
    services: [...services],
    ...fields,
  };
}

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HoldoverError } from "@holdover/core";
import type {
  DeployPlanView,
  ForecastView,
  InstanceView,
  LiveSessionView,
  ReleaseView,
  RestartPlanView,
  ServiceView,
  StatusView,
} from "./api-client.ts";
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
    sessions: { open: 0, lingering: 0, connections: 0, wedged: 0 },
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
    sessions: { open: 0, lingering: 0, connections: 0, wedged: 0 },
    lingerMs: 60_000,
    preparation: null,
    restart: null,
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
    sessions: { open: 2, lingering: 1, connections: 3, wedged: 0 },
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

export function liveSessionView(key: string, fields: Partial<LiveSessionView> = {}): LiveSessionView {
  return {
    service: "rooms",
    key,
    release: "v1",
    instance: "rooms-v1-1",
    fence: 1,
    state: "open",
    openedAtMs: NOW_MS - 192_000,
    lingeringSinceMs: null,
    connections: 1,
    label: null,
    wedgedSinceMs: null,
    ...fields,
  };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const LENGTHS = {
  known: true,
  ends: 1204,
  why: "1204 ended and 12 open sessions",
  medianMs: 5 * MINUTE_MS,
  p95Ms: 40 * MINUTE_MS,
};

export const RETIRES = {
  lowMs: NOW_MS + 20 * MINUTE_MS,
  medianMs: NOW_MS + 32 * MINUTE_MS,
  highMs: NOW_MS + 65 * MINUTE_MS,
  known: true,
};

/** Of a retained release with 12 sessions, under the default policy. */
export function forecastView(release: string, fields: Partial<ForecastView> = {}): ForecastView {
  return {
    service: "rooms",
    release,
    state: "retained",
    nowMs: NOW_MS,
    sessions: 12,
    lengths: LENGTHS,
    trials: 34,
    retention: {
      policy: "budget",
      rule: "forecast",
      deadlineMs: RETIRES.medianMs,
      hardStopMs: NOW_MS + 8 * HOUR_MS,
      floorUntilMs: 0,
      fromSessions: LENGTHS.ends,
      wouldCut: 0,
      retires: RETIRES,
      why: "12 of the 40 sessions live at the cutover are left, 0 may be cut; expected in 32m (80%: 20m to 1h 5m), from 1204 ended sessions",
    },
    retires: RETIRES,
    left: [0, 20, 40, 72].map((minutes, index) => {
      const median = [12, 4, 1, 0][index] ?? 0;
      return {
        atMs: NOW_MS + minutes * MINUTE_MS,
        low: Math.max(0, median - 1),
        median,
        high: Math.min(12, median + 2),
      };
    }),
    ...fields,
  };
}

export function deployPlanView(fields: Partial<DeployPlanView> = {}): DeployPlanView {
  const hours = Array.from({ length: 24 }, (_, index) => ({
    startsAtMs: Math.floor(NOW_MS / HOUR_MS + index) * HOUR_MS,
    retiredAfterMs: index < 2 ? (2 - index) * 30 * MINUTE_MS : null,
    days: index < 2 ? 5 - index : 0,
  }));
  return {
    service: "rooms",
    release: "v1",
    nowMs: NOW_MS,
    sessions: 12,
    lengths: LENGTHS,
    allowedCuts: 1,
    window: { policy: "budget", rule: "forecast", lastsMs: 8 * HOUR_MS, why: "12 of the 12 sessions are left" },
    oldLives: { lowMs: 20 * MINUTE_MS, medianMs: 32 * MINUTE_MS, highMs: 65 * MINUTE_MS, known: false },
    cutAtCeiling: 0.31,
    instances: 2,
    instanceHours: { low: 0.51, median: 0.8349, high: 2.04 },
    instanceHoursMost: 16,
    hours,
    cheapest: hours[1] ?? null,
    ...fields,
  };
}

export function restartPlanView(fields: Partial<RestartPlanView> = {}): RestartPlanView {
  const batch = { connections: 4, closingMs: 10_000 };
  return {
    service: "rooms",
    release: "v1",
    waitMs: 10 * MINUTE_MS,
    graceMs: 30_000,
    batches: [
      { ...batch, instances: ["rooms-v1-1"], startsAfterMs: 0, expectedMoved: 3.24 },
      { ...batch, instances: ["rooms-v1-2"], startsAfterMs: 610_000, expectedMoved: null },
    ],
    expectedMs: 1_220_000,
    mostMs: 1_300_000,
    expectedMoved: null,
    expectedCut: 0,
    mostCut: 3,
    ...fields,
  };
}

import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CHAIN_START,
  HoldoverError,
  isSought,
  nextEntry,
  readEntry,
  verifyChain,
  type ApiToken,
  type AuditDraft,
  type AuditEntry,
  type AuditLog,
  type Clock,
  type EndedSession,
  type LiveSession,
  type Membership,
  type OpenedSession,
  type SessionMoved,
  type SignedHead,
  type StoredAuditEntry,
  type TokenStore,
} from "@holdover/core";
import { createAuditSigning, type AuditSigning, type AuditSigningOptions } from "../audit-signing.ts";
import type { Operations } from "../operations.ts";
import { createApi, type Api, type ApiOptions } from "./api.ts";
import type { PreviewView } from "./preview-views.ts";
import type { MembershipOperations } from "./membership-routes.ts";
import type { CompatibilityView, ReleaseView, StatusView } from "./views.ts";
import type { AgesView, LengthsDetailView, TimelineView } from "./timeline-views.ts";
import type { DeployPlanView, ForecastView, RestartPlanView } from "./forecast-views.ts";

/** What the tests of the API have in common: control in memory, and a caller that goes in by either way. */

export const TOKEN = "a-token-for-the-tests";

/** Time that stands still until a test moves it. */
export function createManualClock(): Clock & { advance(ms: number): void } {
  let nowMs = 0;
  let timers: { atMs: number; run: () => void }[] = [];
  return {
    now: () => nowMs,
    after(ms, run) {
      const timer = { atMs: nowMs + ms, run };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
    advance(ms) {
      nowMs += ms;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { run } of due) run();
    },
  };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

export interface MemoryAuditLog extends AuditLog {
  readonly stored: StoredAuditEntry[];
  /** Calls of read() so far, and the highest limit that was asked for. */
  readonly reads: { count: number; highestLimit: number };
  readonly listeners: Set<(entries: readonly AuditEntry[]) => void>;
}

/** An audit log whose reads and appends take a turn of the event loop, so that they interleave as with a real store. */
export function createMemoryAuditLog(): MemoryAuditLog {
  const stored: StoredAuditEntry[] = [];
  const listeners = new Set<(entries: readonly AuditEntry[]) => void>();
  const reads = { count: 0, highestLimit: 0 };
  const headNow = () => stored.at(-1) ?? CHAIN_START;
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    stored,
    listeners,
    reads,
    async append(drafts) {
      const added = drafts.map((draft) => {
        const entry = nextEntry(headNow(), draft, sha256);
        stored.push(entry);
        return readEntry(entry);
      });
      await turn();
      for (const listener of listeners) listener(added);
    },
    async read(afterSeq, limit, filter = {}) {
      reads.count += 1;
      reads.highestLimit = Math.max(reads.highestLimit, limit);
      // What is read is settled before the answer arrives, as in a database.
      const sought = stored
        .slice(afterSeq)
        .map(readEntry)
        .filter((entry) => isSought(entry, filter));
      const found = sought.slice(0, limit);
      await turn();
      return found;
    },
    tail: async (limit, filter = {}) =>
      stored
        .map(readEntry)
        .filter((entry) => isSought(entry, filter))
        .slice(-limit),
    head: async () => ({ seq: headNow().seq, hash: headNow().hash }),
    verify: async (through) => verifyChain(stored, headNow(), sha256, through),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function createMemoryTokenStore(audit: AuditLog): TokenStore {
  const tokens = new Map<string, ApiToken>();
  return {
    list: async () => [...tokens.values()],
    async create(token, because) {
      if (tokens.has(token.name)) return false;
      tokens.set(token.name, token);
      await audit.append(because);
      return true;
    },
    async revoke(name, because) {
      if (!tokens.delete(name)) return false;
      await audit.append(because);
      return true;
    },
  };
}

/** Two keys and one member; each change raises the epoch and is told in the audit log. */
export function createMemoryMembership(audit: AuditLog): MembershipOperations {
  const joined = { instance: "consultation.v1-1", service: "consultation", release: "v1", publicKey: "worker" };
  const member = { ...joined, joinedAtMs: 1, serial: 3, untilMs: 2000, revokedAtMs: null };
  const keys = [
    { publicKey: "new", sinceMs: 5, untilMs: null },
    { publicKey: "old", sinceMs: 1, untilMs: 9 },
  ];
  let membership: Membership = { epoch: 4, lastSerial: 3, keys, members: [member] };
  const raise = async (kind: string, actor: string, reason: string): Promise<Membership> => {
    membership = { ...membership, epoch: membership.epoch + 1 };
    await audit.append([{ atMs: 0, kind, actor, reason }]);
    return membership;
  };
  return {
    show: () => membership,
    rotate: (actor, reason) => raise("key.rotated", actor, reason),
    async revoke(instance, actor, reason) {
      if (instance !== member.instance) throw new HoldoverError("MEMBER_UNKNOWN", { instance });
      membership = { ...membership, members: [{ ...member, revokedAtMs: 7 }] };
      return raise("worker.revoked", actor, reason);
    },
  };
}

/** Keys that are their own public half: what is tested is not the signature, and the real one is not reached from here. */
const SIGNER = { publicKey: "key", sign: (text: string) => sha256(`key ${text}`) };

export function createMemorySigning(audit: AuditLog, over: Partial<AuditSigningOptions> = {}): AuditSigning {
  let last: SignedHead | null = null;
  return createAuditSigning({
    audit,
    heads: { last: async () => last, store: async (head) => void (last = head) },
    signer: SIGNER,
    verify: (publicKey, text, signature) => signature === sha256(`${publicKey} ${text}`),
    clock: createManualClock(),
    log: { error: () => {} },
    ...over,
  });
}

export const draft = (n: number, padding = ""): AuditDraft => ({
  atMs: n,
  kind: "release.current",
  actor: "operator",
  reason: `number ${n}${padding}`,
  service: "consultation",
  detail: { n },
});

export function releaseView(id: string, over: Partial<ReleaseView> = {}): ReleaseView {
  return {
    id,
    service: "consultation",
    state: "current",
    sinceMs: 1000,
    createdAtMs: 500,
    currentAtMs: 1000,
    admission: "new",
    percent: 100,
    then: "promote",
    dir: "/srv/build",
    digest: null,
    instancesWanted: 1,
    instances: [],
    sessions: { open: 2, lingering: 1, connections: 3, wedged: 0 },
    lingerMs: 60_000,
    preparation: null,
    restart: null,
    retention: null,
    problem: null,
    failure: null,
    ...over,
  };
}

export function statusView(releases: ReleaseView[], router: Partial<StatusView["router"]> = {}): StatusView {
  return {
    nowMs: 2000,
    version: "1.2.3",
    startedAtMs: 0,
    router: {
      linked: true,
      address: "http://127.0.0.1:8080",
      closing: false,
      tableIssued: 7,
      tableInForce: 6,
      ...router,
    },
    services: [
      {
        name: "consultation",
        hosts: [],
        path: "/",
        current: releases.find(({ state }) => state === "current")?.id ?? null,
        sessions: null,
        releases,
      },
    ],
  };
}

export const LIVE: LiveSession = {
  service: "consultation",
  key: "room-7",
  release: "v1",
  instance: "consultation-v1-1",
  fence: 3,
  state: "open",
  openedAtMs: 1,
  lingeringSinceMs: null,
  connections: 2,
  label: null,
  wedgedSinceMs: null,
};

export const OPENED: OpenedSession = {
  key: "call-1",
  release: "v1",
  instance: "consultation-v1-1",
  fence: 4,
  already: false,
};

export const ENDED: EndedSession = {
  service: "consultation",
  key: "room-6",
  release: "v1",
  instance: "consultation-v1-1",
  fence: 2,
  openedAtMs: 1,
  endedAtMs: 2,
  reason: "hangup",
  connectionsClosed: 0,
  label: null,
};

const LENGTHS = { known: true, ends: 40, why: "40 ended and 2 open sessions", medianMs: 1000, p95Ms: null };

export const FORECAST: ForecastView = {
  service: "consultation",
  release: "v1",
  state: "current",
  nowMs: 2000,
  sessions: 3,
  lengths: LENGTHS,
  trials: 7,
  retention: null,
  retires: { lowMs: 3000, medianMs: 4000, highMs: 9000, known: true },
  left: [{ atMs: 2000, low: 3, median: 3, high: 3 }],
};

export const DEPLOY_PLAN: DeployPlanView = {
  service: "consultation",
  release: "v1",
  nowMs: 2000,
  sessions: 3,
  lengths: LENGTHS,
  allowedCuts: 0,
  window: { policy: "budget", rule: "forecast", lastsMs: 86_400_000, why: "3 of the 3 sessions are left" },
  oldLives: { lowMs: 1000, medianMs: 2000, highMs: 7000, known: true },
  cutAtCeiling: 0.2,
  instances: 1,
  instanceHours: { low: 0.1, median: 0.2, high: 0.3 },
  instanceHoursMost: 24,
  hours: [{ startsAtMs: 0, retiredAfterMs: null, days: 0 }],
  cheapest: null,
};

export const RESTART_PLAN: RestartPlanView = {
  service: "consultation",
  release: "v1",
  waitMs: 1000,
  graceMs: 30_000,
  batches: [
    { instances: ["consultation.v1-1"], startsAfterMs: 0, expectedMoved: 1.5, connections: 2, closingMs: 2000 },
  ],
  expectedMs: 3000,
  mostMs: 4000,
  expectedMoved: 1.5,
  expectedCut: 0,
  mostCut: 0,
};

export const TIMELINE: TimelineView = {
  service: "consultation",
  nowMs: 2000,
  fromMs: 1000,
  stepMs: 1000,
  moments: 2,
  lanes: [{ release: "v1", sessions: [null, 3] }],
  marks: [{ atMs: 1500, seq: 4, kind: "release.current", release: "v1", actor: "operator", reason: "v1 was promoted" }],
};

export const LENGTHS_DETAIL: LengthsDetailView = {
  service: "consultation",
  nowMs: 2000,
  known: true,
  ends: 40,
  why: "40 ended and 2 open sessions",
  p50Ms: 1000,
  p95Ms: 5000,
  p99Ms: null,
  curve: [{ ageMs: 0, share: 1 }],
  days: [{ dayMs: 0, ends: 40, p50Ms: 1000, p95Ms: 4000, p99Ms: 9000 }],
  residual: [
    { release: "v1", sessions: 2, known: false, p50Ms: 9, p95Ms: null, p99Ms: null, curve: [{ afterMs: 0, share: 1 }] },
  ],
};

export const AGES: AgesView = {
  service: "consultation",
  nowMs: 2000,
  endsMs: [60_000],
  releases: [{ release: "v1", state: "current", open: [1, 1], lingering: 1 }],
};

export const PREVIEW: PreviewView = {
  service: "consultation",
  action: "retire",
  release: "v1",
  nowMs: 2000,
  problem: null,
  moves: 12,
  cuts: null,
  confirm: "v1",
  effects: ["12 sessions on v1 are asked to move to v2 within 30s; those left then are cut."],
  deployPlan: null,
  restartPlan: null,
};

export const MOVED: SessionMoved = {
  release: "v1",
  instance: "consultation-v1-1",
  fence: 3,
  connections: 2,
  job: false,
  to: "v2",
};

const COMPATIBLE: CompatibilityView = {
  service: "consultation",
  from: "v1",
  to: "v1",
  reads: true,
  readsBack: false,
  problems: ["cart of version 2 cannot be read by v1 (1 of 1 samples): no"],
  samples: 1,
  untried: [],
  formats: [
    {
      format: "cart",
      forward: { tried: 1, failed: 0, failures: [] },
      back: [{ release: "v1", tried: 1, failed: 1, failures: [{ version: 2, samples: 1, reason: "no" }] }],
    },
  ],
};

export interface MemoryOperations extends Operations {
  /** Every call with its arguments. */
  readonly calls: unknown[][];
}

/** One service with the release v1; a release that it does not know is refused, as control does. */
export function createMemoryOperations(over: Partial<Operations> = {}): MemoryOperations {
  const calls: unknown[][] = [];
  const releaseOf = (service: string, release: string): ReleaseView => {
    if (service !== "consultation") throw new HoldoverError("SERVICE_UNKNOWN", { service, known: "consultation" });
    if (release !== "v1") throw new HoldoverError("RELEASE_UNKNOWN", { service, release, known: "v1" });
    return releaseView("v1");
  };
  const told = <Result>(name: string, args: unknown[], result: () => Result): Result => {
    calls.push([name, ...args]);
    return result();
  };
  return {
    calls,
    status: () => statusView([releaseView("v1")]),
    release: releaseOf,
    deploy: async (...args) =>
      told("deploy", args, () => releaseView(args[1].release, { state: "starting", admission: "none" })),
    compatibility: async (...args) =>
      told("compatibility", args, () => {
        for (const release of args.slice(1)) releaseOf(args[0], release);
        return COMPATIBLE;
      }),
    samples: async (service) =>
      told("samples", [service], () => {
        releaseOf(service, "v1");
        return { samples: [{ format: "cart", version: 1, value: { items: ["*"] } }], withheld: 3 };
      }),
    promote: async (...args) => told("promote", args, () => releaseOf(args[0], args[1])),
    ramp: async (...args) => told("ramp", args, () => releaseOf(args[0], args[1])),
    rollback: async (...args) => told("rollback", args, () => releaseOf(args[0], "v1")),
    retire: async (...args) => told("retire", args, () => releaseOf(args[0], args[1])),
    forecast: async (...args) =>
      told("forecast", args, () => ({ ...FORECAST, release: releaseOf(args[0], args[1]).id })),
    timeline: async (...args) =>
      told("timeline", args, () => ({ ...TIMELINE, service: releaseOf(args[0], "v1").service })),
    lengths: async (...args) =>
      told("lengths", args, () => ({ ...LENGTHS_DETAIL, service: releaseOf(args[0], "v1").service })),
    ages: async (...args) => told("ages", args, () => ({ ...AGES, service: releaseOf(args[0], "v1").service })),
    deployPlan: async (...args) =>
      told("deployPlan", args, () => ({ ...DEPLOY_PLAN, service: releaseOf(args[0], "v1").service })),
    prepare: async (...args) =>
      told("prepare", args, () => ({
        release: releaseOf(args[0], "v1"),
        tail: [{ afterMs: 0, normal: 1, prepared: 1 }],
      })),
    unprepare: async (...args) => told("unprepare", args, () => releaseOf(args[0], "v1")),
    restartPlan: async (...args) =>
      told("restartPlan", args, () => ({ ...RESTART_PLAN, release: releaseOf(args[0], "v1").id })),
    preview: async (...args) =>
      told("preview", args, () => ({ ...PREVIEW, service: releaseOf(args[0], "v1").service })),
    move: async (...args) => told("move", args, () => ({ ...MOVED, release: releaseOf(args[0], "v1").id })),
    restart: async (...args) => told("restart", args, () => releaseOf(args[0], "v1")),
    stopRestart: async (...args) => told("stopRestart", args, () => releaseOf(args[0], "v1")),
    instances: () => [
      {
        id: "consultation-v1-1",
        service: "consultation",
        release: "v1",
        state: "ready",
        sinceMs: 1,
        startedAtMs: 0,
        address: "127.0.0.1:40001",
        pid: 4711,
        sessions: null,
        problem: null,
      },
    ],
    sessions: async (...args) => told("sessions", args, () => ({ sessions: [LIVE], matches: 7 })),
    session: async (...args) =>
      told("session", args, () => ({
        service: releaseOf(args[0], "v1").service,
        key: args[1],
        live: LIVE,
        ended: [ENDED],
        entries: [{ ...draft(1), seq: 1, hash: "0" }],
      })),
    open: async (...args) => told("open", args, () => ({ ...OPENED, release: releaseOf(args[0].service, "v1").id })),
    history: async (...args) => told("history", args, () => [ENDED]),
    logs: async (...args) => told("logs", args, () => ["one", "two"]),
    shutdown: async (...args) => told("shutdown", args, () => undefined),
    ...over,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  json(): unknown;
  /** The code of the error that the body is; undefined for another body. */
  code(): string | undefined;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is when it is a string, otherwise as JSON. */
  readonly body?: unknown;
}

export interface RunningApi {
  readonly api: Api;
  readonly operations: MemoryOperations;
  readonly audit: MemoryAuditLog;
  readonly clock: ReturnType<typeof createManualClock>;
  /** What the API logged, as one line each. */
  readonly logged: string[];
  /** The calls that the API logged. */
  readonly calls: Readonly<Record<string, unknown>>[];
  readonly socketPath: string;
  readonly url: string;
  /** By the unix socket. */
  bySocket(path: string, call?: Call): Promise<Answer>;
  /** By TCP, with the token unless other headers are given. */
  byTcp(path: string, call?: Call): Promise<Answer>;
  /** Opens an answer and leaves its body to the caller. */
  open(path: string, headers?: Readonly<Record<string, string>>): Promise<IncomingMessage>;
  stop(): Promise<void>;
}

export async function startApi(
  over: Partial<ApiOptions> = {},
  operations: MemoryOperations = createMemoryOperations(),
  host = "127.0.0.1",
): Promise<RunningApi> {
  const dir = await mkdtemp(join(tmpdir(), "holdover-api-"));
  const audit = createMemoryAuditLog();
  const clock = createManualClock();
  const logged: string[] = [];
  const calls: RunningApi["calls"] = [];
  const tell = (fields: Readonly<Record<string, unknown>>, message: string) =>
    void logged.push(`${message} ${fields["err"] instanceof Error ? fields["err"].message : JSON.stringify(fields)}`);
  const api = await createApi({
    operations,
    audit,
    signing: createMemorySigning(audit),
    tokens: createMemoryTokenStore(audit),
    membership: createMemoryMembership(audit),
    token: TOKEN,
    tokenFile: "/state/token",
    page: join(dir, "no-page"),
    version: "1.2.3",
    ready: () => null,
    metrics: async () => "holdover_link_up 1\n",
    copyStores: async () => {},
    clock,
    log: { info: (fields) => void calls.push(fields), warn: tell, error: tell },
    ...over,
  });
  const socketPath = join(dir, "run", "control.sock");
  const { url } = await api.listen({ socketPath, host, port: 0 });
  const { port } = new URL(url);
  return {
    api,
    operations,
    audit,
    clock,
    logged,
    calls,
    socketPath,
    url,
    bySocket: (path, call) => send({ socketPath, path }, call),
    byTcp: (path, call) =>
      send({ host: "127.0.0.1", port, path }, { headers: { authorization: `Bearer ${TOKEN}` }, ...call }),
    async open(path, headers = {}) {
      const outgoing = request({ socketPath, path, headers, agent: false });
      outgoing.end();
      const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
      return answer;
    },
    async stop() {
      await api.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export async function send(
  to: { socketPath?: string; host?: string; port?: string; path: string },
  { method = "GET", headers = {}, body }: Call = {},
): Promise<Answer> {
  const payload = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const outgoing = request({
    ...to,
    method,
    agent: false,
    headers: { ...(payload !== undefined && { "content-type": "application/json" }), ...headers },
  });
  outgoing.end(payload);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer) text += String(chunk);
  const json = () => JSON.parse(text) as unknown;
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text,
    json,
    code: () => (json() as { error?: { code?: string } }).error?.code,
  };
}

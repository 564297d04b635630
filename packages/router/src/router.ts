import { randomBytes } from "node:crypto";
import type {
  AgesQuery,
  Clock,
  PinStore,
  Released,
  RoutingTable,
  SessionAges,
  SessionCount,
  SessionList,
  SessionMove,
  SessionMoved,
  SessionQuery,
  TableCache,
  Traffic,
} from "@holdover/core";
import { createFront } from "./front.ts";
import { sessionNames } from "./session-name.ts";
import { Sessions } from "./sessions.ts";
import { loadTracing } from "./tracing.ts";
import { createWorkerServer, type WorkerServer, type WorkerServerOptions } from "./workers/worker-server.ts";

export interface RouterOptions {
  readonly pins: PinStore;
  readonly tableCache: TableCache;
  readonly clock: Clock;
  readonly limits: { readonly sessions: number; readonly headBytes: number; readonly headTimeoutMs: number };
  /** Keep the client's X-Forwarded-* and Forwarded: only behind another proxy. */
  readonly trustForwarded: boolean;
  /** Signs the cookies of sessions without a key; at least 32 bytes, the same after a restart. */
  readonly secret: Buffer;
  /** Every answer to a client is logged, and not only those that the router gives itself. */
  readonly accessLog: boolean;
  /** Looks at once whether an instance still runs; see `SessionsOptions.look`. */
  readonly look: (instance: string) => Promise<void>;
  /** Called after every change of counts, table or events. */
  readonly changed: () => void;
  /** The workers of the instances, who have a socket of their own. */
  readonly workers: Omit<WorkerServerOptions, "sessions" | "clock" | "newKey" | "sessionName" | "look" | "log">;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** The data plane in one process: accepts, pins, forwards, closes. */
export interface Router {
  readonly workers: WorkerServer;
  /** @throws HoldoverError PORT_TAKEN, LISTEN_FAILED */
  listen(host: string, port: number): Promise<{ host: string; port: number }>;
  apply(table: RoutingTable): void;
  /** The table in force. */
  table(): RoutingTable;
  release(instance: string): Released;
  /** The instance died. */
  lose(instance: string): Promise<void>;
  sessions(query: SessionQuery): Promise<SessionList>;
  move(move: SessionMove): SessionMoved;
  ages(query: AgesQuery): Promise<SessionAges>;
  counts(): Map<string, SessionCount>;
  traffic(): Traffic;
  closing(): boolean;
  /** Connections that are being served or wait for a place. */
  openCount(): number;
  /** Admits no new session; with `cut`, ends the live ones too, paced by the disconnect cap. */
  startClosing(how: "finish" | "cut"): void;
  /**
   * Ends every connection of clients; workers stay linked, so that they hear that nothing is left for them. After `startClosing` the instances stop too, so what lingers is ended first; without it,
   * sessions keep their pins for the next router. Returns how many lingering sessions that ended.
   */
  endConnections(): Promise<number>;
  /** The same, if that was not done before, and the links of the workers too. */
  close(): Promise<number>;
}

/** Reads pins and table back from disk; nothing is accepted before `listen`. */
export async function createRouter(options: RouterOptions): Promise<Router> {
  const { pins, tableCache, clock, limits, changed, log } = options;
  const newKey = (): string => `~${randomBytes(15).toString("base64url")}`;
  const sessions = new Sessions({
    pins,
    tableCache,
    clock,
    limit: limits.sessions,
    newKey,
    random: Math.random,
    look: options.look,
    changed,
    log,
  });
  await sessions.open();
  const workers = createWorkerServer({
    ...options.workers,
    sessions,
    clock,
    newKey,
    sessionName: sessionNames(options.secret),
    look: options.look,
    log,
  });
  const front = createFront({
    holder: sessions,
    limits,
    trustForwarded: options.trustForwarded,
    secret: options.secret,
    log,
    accessLog: options.accessLog,
    tracing: await loadTracing(log),
  });
  let ending: Promise<number> | undefined;
  const endConnections = (): Promise<number> => {
    ending ??= (async () => {
      const ended = sessions.isClosing() ? await sessions.endLingering() : 0;
      await front.close();
      return ended;
    })();
    return ending;
  };
  return {
    workers,
    listen: (host, port) => front.listen(host, port),
    apply: (table) => sessions.apply(table),
    table: () => sessions.table(),
    release: (instance) => sessions.release(instance),
    lose: (instance) => {
      // First: what its worker held has lost its place then, and does not end as if the worker had left it.
      const lost = sessions.lose(instance);
      workers.lose(instance);
      return lost;
    },
    sessions: (query) => sessions.list(query),
    move: (move) => sessions.move(move),
    ages: (query) => sessions.ages(query),
    counts: () => sessions.counts(),
    traffic: () => ({ ...front.traffic(), placing: sessions.placingTook(), stale: workers.staleCalls() }),
    closing: () => sessions.isClosing(),
    openCount: () => sessions.openCount(),
    startClosing: (how) => sessions.startClosing(how),
    endConnections,
    close: async () => {
      const ended = await endConnections();
      await workers.close();
      sessions.close();
      return ended;
    },
  };
}

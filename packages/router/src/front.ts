import { randomBytes } from "node:crypto";
import { Agent, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server, type AddressInfo, type Socket } from "node:net";
import {
  asHoldoverError,
  formatDuration,
  HoldoverError,
  LatencyCounts,
  problemOf,
  serviceFor,
  sessionKeyOf,
  sessionLabelOf,
  type Traffic,
} from "@holdover/core";
import { answerError, answerOnSocket } from "./answer.ts";
import { codeOf, type Exchange, type Forwarding } from "./exchange.ts";
import type { LabelReader, SessionHolder } from "./hold.ts";
import { forwardHttp } from "./http-forward.ts";
import { keylessKeyOf, newKeylessCookie } from "./keyless-cookie.ts";
import type { RoutedRequest } from "./instance-request.ts";
import { malformed, mayUpgrade, readHead } from "./request-head.ts";
import { RequestLog } from "./request-log.ts";
import { RequestRecord, type RequestRecordsOptions } from "./request-record.ts";
import { sessionNames } from "./session-name.ts";
import type { Tracing } from "./tracing.ts";
import { WAITS, type Waits } from "./waits.ts";
import { forwardUpgrade, TCP_KEEP_ALIVE_MS } from "./websocket-forward.ts";

/**
 * How long a client's connection is kept without a request, ms. Load balancers in front close theirs after 60 s by
 * default; being later than that, this end never closes a connection that a balancer is about to use.
 */
const IDLE_CLIENT_MS = 75_000;
/**
 * How long a connection to an instance is kept without a request, ms. Node's own servers, and many more, close after
 * 5 s; being earlier than that, we do not use a connection that the instance is about to close.
 */
const IDLE_INSTANCE_MS = 4_000;
/** Idle connections kept to one instance. More than this many requests at once and some connect anew. */
const IDLE_INSTANCE_CONNECTIONS = 256;
/**
 * Requests that wait behind another one on their connection, at the most. They are taken one at a time, so that a client
 * that pipelines has no more of this router than one that does not. No browser pipelines; load testers send 16.
 */
const MAX_PIPELINED = 100;
/** How long `close` waits for what it has destroyed to be gone, ms. Sockets take a turn of the event loop. */
const DESTROY_MS = 1_000;

export interface FrontOptions {
  readonly holder: SessionHolder;
  /** `headBytes`: a request's head at the most. `headTimeoutMs`: how long it may take. */
  readonly limits: { readonly headBytes: number; readonly headTimeoutMs: number };
  /** Another proxy stands in front, and what it says of the client is believed. */
  readonly trustForwarded: boolean;
  /** Signs the cookies of sessions without a key; at least 32 bytes. */
  readonly secret: Buffer;
  readonly log?: (event: string, detail: Record<string, unknown>) => void;
  /** Every answer is logged, and not only those that the router gives itself. */
  readonly accessLog?: boolean;
  readonly tracing?: Tracing | null;
  readonly waits?: Waits;
}

/** Where clients connect: it reads their requests strictly and forwards them to the places of their sessions. */
export interface Front {
  /**
   * @param port 0 for any that is free
   * @returns the address that it really listens on
   * @throws HoldoverError PORT_TAKEN, LISTEN_FAILED
   */
  listen(host: string, port: number): Promise<{ host: string; port: number }>;
  traffic(): Omit<Traffic, "placing" | "stale">;
  /** Takes no new connection. Those that are there are served, and told to close with their next answer. */
  stopAccepting(): Promise<void>;
  /** Destroys every connection. */
  close(): Promise<void>;
}

/** What this front knows of a client's connection. */
interface Connection {
  /** Requests are served one at a time, in their order. */
  current: { readonly exchange: Exchange; readonly response: ServerResponse | null } | null;
  readonly waiting: (() => void)[];
  /** A last answer has been given: whatever still comes is not looked at. */
  closing: boolean;
}

const NOTHING_LEFT: Exchange = { clientGone: () => {}, destroy: () => {} };

export function createFront(options: FrontOptions): Front {
  const { holder, limits, secret, log, waits = WAITS } = options;
  const connections = new Map<Socket, Connection>();
  const exchanges = new Set<Exchange>();
  const counted = { requests: 0, upgrades: 0, refused: new Map<string, number>() };
  const added = { known: new LatencyCounts(), placed: new LatencyCounts() };
  let stopping = false;
  let allGone: (() => void) | null = null;

  const agent = new Agent({
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: IDLE_INSTANCE_CONNECTIONS,
    timeout: IDLE_INSTANCE_MS,
  });
  const records: RequestRecordsOptions = {
    ...(log && { log: new RequestLog({ log, sessionName: sessionNames(secret) }) }),
    accessLog: options.accessLog ?? false,
    tracing: options.tracing ?? null,
    refused: counted.refused,
  };
  const forwarding: Forwarding = {
    holder,
    agent,
    waits,
    trustForwarded: options.trustForwarded,
    stopping: () => stopping,
    added,
  };

  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headTimeoutMs,
    // How often heads are looked at for being late; node's 30 s would make a limit of 10 s one of 40.
    connectionsCheckingInterval: Math.max(20, Math.min(1_000, Math.floor(limits.headTimeoutMs / 4))),
    // None for the whole request: an upload may take as long as it takes, and a call that never ends is a request too.
    requestTimeout: 0,
    keepAliveTimeout: IDLE_CLIENT_MS,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    // readHead answers for it, as for the rest.
    requireHostHeader: false,
    shouldUpgradeCallback: (request) => mayUpgrade(request) && connections.get(request.socket)?.current === null,
  });
  // By default node drops what is above 2000 fields without a word, and the instance sees another head than we did.
  server.maxHeadersCount = 0;
  server.on("connection", onConnection);
  server.on("request", onRequest);
  server.on("checkContinue", onRequest);
  server.on("checkExpectation", onRequest);
  server.on("upgrade", (request, socket, early) => onUpgrade(request, socket as Socket, early));
  server.on("connect", (request, socket) => {
    const error = new HoldoverError("METHOD_REFUSED", { method: request.method ?? "CONNECT" });
    lastWord(socket as Socket, error, new RequestRecord(records, request.rawHeaders));
  });
  server.on("clientError", onClientError);

  function onConnection(socket: Socket): void {
    const connection: Connection = { current: null, waiting: [], closing: false };
    connections.set(socket, connection);
    // node:http has its own listener, which it takes away with an upgrade; this one stays, so that nothing is unheard.
    socket.on("error", () => {});
    socket.once("close", () => {
      connections.delete(socket);
      connection.closing = true;
      connection.waiting.length = 0;
      connection.current?.exchange.clientGone();
      nothingLeft();
    });
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = connections.get(request.socket);
    if (!connection || connection.closing) return;
    counted.requests += 1;
    const start = () => startRequest(connection, request, response);
    if (!connection.current) start();
    else if (connection.waiting.length < MAX_PIPELINED) connection.waiting.push(start);
    else request.socket.destroy();
  }

  function startRequest(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    if (stopping) response.shouldKeepAlive = false;
    const over = begun(connection, response);
    const record = new RequestRecord(records, request.rawHeaders);
    try {
      const routed = route(request, record);
      const { head, service, secure } = routed;
      const cookie = head.header("cookie");
      let key = sessionKeyOf(service.key, { target: head.target, header: head.header });
      key ??= keylessKeyOf(cookie, service, secret);
      const fresh = key === undefined ? newKeylessCookie(service, secret, randomBytes(16), secure) : null;
      over.follow(
        forwardHttp(
          forwarding,
          {
            ...routed,
            response,
            key: key ?? fresh?.key ?? "",
            setCookie: fresh?.setCookie ?? null,
            label: labelOf(routed),
          },
          over.done,
        ),
      );
    } catch (thrown) {
      const error = asHoldoverError(thrown);
      record.refused(error);
      record.over(error.status);
      // Closed or not, nothing of it is left when the answer has gone out or the connection is.
      response.once("close", over.done);
      over.follow({ clientGone: over.done, destroy: over.done });
      answerError(request, response, error, record.id, waits.closeMs);
    }
  }

  function onUpgrade(request: IncomingMessage, socket: Socket, early: Buffer): void {
    const connection = connections.get(socket);
    if (!connection || connection.closing) {
      socket.destroy();
      return;
    }
    counted.upgrades += 1;
    const over = begun(connection, null);
    const record = new RequestRecord(records, request.rawHeaders);
    try {
      const routed = route(request, record);
      const { head, service } = routed;
      const label = labelOf(routed);
      const key =
        sessionKeyOf(service.key, { target: head.target, header: head.header }) ??
        keylessKeyOf(head.header("cookie"), service, secret);
      over.follow(
        forwardUpgrade(
          forwarding,
          {
            ...routed,
            socket,
            early,
            place: (held) =>
              key === undefined ? holder.holdConnection(service, held, label) : holder.hold(service, key, held, label),
          },
          over.done,
        ),
      );
    } catch (thrown) {
      over.done();
      lastWord(socket, asHoldoverError(thrown), record);
    }
  }

  /** @throws HoldoverError REQUEST_MALFORMED, METHOD_REFUSED, HEAD_FIELDS_TOO_MANY, HOST_UNKNOWN */
  function route(request: IncomingMessage, record: RequestRecord): RoutedRequest {
    const head = readHead(request);
    const service = serviceFor(holder.table(), head.host, head.path);
    if (!service) throw new HoldoverError("HOST_UNKNOWN", { host: head.host || "(none)", path: head.path });
    const told = options.trustForwarded ? request.headers["x-forwarded-proto"] : undefined;
    const secure = "encrypted" in request.socket || (typeof told === "string" && /^\s*https\b/i.test(told));
    record.routed(request, head, service, secure);
    return { request, head, service, secure, record };
  }

  function labelOf({ head, service }: RoutedRequest): LabelReader {
    return () => sessionLabelOf(service.label, { target: head.target, header: head.header });
  }

  /** Makes an exchange the connection's current one, until it is over and the next in line may start. */
  function begun(connection: Connection, response: ServerResponse | null) {
    let exchange = NOTHING_LEFT;
    let over = false;
    connection.current = { exchange, response };
    return {
      follow: (started: Exchange) => {
        if (over) return;
        exchange = started;
        exchanges.add(exchange);
        connection.current = { exchange, response };
      },
      done: () => {
        if (over) return;
        over = true;
        exchanges.delete(exchange);
        connection.current = null;
        if (!connection.closing) connection.waiting.shift()?.();
        nothingLeft();
      },
    };
  }

  function onClientError(cause: Error, socket: Socket): void {
    const connection = connections.get(socket);
    // The parser complains again about whatever follows; a last answer, once given, must reach the client unharmed.
    if (!connection || connection.closing || socket.writableEnded) return;
    const { current } = connection;
    const code = codeOf(cause) ?? "";
    const fault = faultOf(code, cause);
    // A connection that was opened ahead and never used has asked nothing: browsers do that.
    if (!fault || socket.bytesRead === 0 || current?.response?.headersSent) {
      connection.closing = true;
      socket.destroy();
      return;
    }
    lastWord(socket, fault, new RequestRecord(records, null));
    current?.exchange.clientGone();
  }

  function faultOf(code: string, cause: Error): HoldoverError | null {
    if (code === "HPE_HEADER_OVERFLOW") return new HoldoverError("HEAD_TOO_LARGE", { limit: limits.headBytes });
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
      return new HoldoverError("HEAD_TOO_SLOW", { timeout: formatDuration(limits.headTimeoutMs) });
    }
    // It ended in the middle of a message: it has gone, and nobody is left to be told what is wrong.
    if (!code.startsWith("HPE_") || code === "HPE_INVALID_EOF_STATE") return null;
    return malformed("reason" in cause && typeof cause.reason === "string" ? cause.reason : code);
  }

  function lastWord(socket: Socket, error: HoldoverError, record: RequestRecord): void {
    const connection = connections.get(socket);
    if (connection) connection.closing = true;
    record.refused(error);
    record.over(error.status);
    answerOnSocket(socket, error, record.id, waits.closeMs);
  }

  function nothingLeft(): void {
    if (connections.size === 0 && exchanges.size === 0) allGone?.();
  }

  function stopListening(): void {
    stopping = true;
    // Not http.Server's own close: that also closes idle connections, under the feet of a client that may just be
    // sending its next request. They are told to close by the answer to it.
    if (server.listening) Server.prototype.close.call(server);
  }

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        const failed = (cause: Error) => {
          const address = `${host}:${port}`;
          reject(
            codeOf(cause) === "EADDRINUSE"
              ? new HoldoverError("PORT_TAKEN", { address, setting: "listen" }, { cause })
              : new HoldoverError(
                  "LISTEN_FAILED",
                  { address, problem: problemOf(cause), setting: "listen" },
                  { cause },
                ),
          );
        };
        server.once("error", failed);
        server.listen(port, host, () => {
          server.off("error", failed);
          // Accepting can fail later (no file descriptor left); those who are connected must not notice.
          server.on("error", (error) => log?.("listener.failed", { problem: problemOf(error) }));
          const { address, port: bound } = server.address() as AddressInfo;
          resolve({ host: address, port: bound });
        });
      }),
    traffic: () => ({
      requests: counted.requests,
      upgrades: counted.upgrades,
      connections: connections.size,
      refused: Object.fromEntries(counted.refused),
      added: { known: added.known.read(), placed: added.placed.read() },
    }),
    stopAccepting: () => {
      stopListening();
      return Promise.resolve();
    },
    close: async () => {
      stopListening();
      // Ends the timer that looks for late heads.
      server.close(() => {});
      const gone = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, DESTROY_MS);
        allGone = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      for (const exchange of exchanges) exchange.destroy();
      for (const socket of connections.keys()) socket.destroy();
      agent.destroy();
      nothingLeft();
      await gone;
    },
  };
}

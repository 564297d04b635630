import swagger from "@fastify/swagger";
import {
  asHoldoverError,
  HoldoverError,
  type AuditLog,
  type Clock,
  type StoreHealth,
  type TokenStore,
} from "@holdover/core";
import fastify, { type FastifyReply } from "fastify";
import { serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { z } from "zod";
import type { AuditSigning } from "../audit-signing.ts";
import type { AuditSinkState } from "../audit-sinks.ts";
import type { Operations } from "../operations.ts";
import { createGate, pathOf } from "./access.ts";
import { SILENT, type ApiLog, type CallLog } from "./api-log.ts";
import { addAuditRoutes } from "./audit-routes.ts";
import { addCallLog, callId } from "./call-log.ts";
import { openCertificate, type TlsFiles } from "./certificate.ts";
import { createEventStreams } from "./event-streams.ts";
import { countFailedCalls } from "./failed-calls.ts";
import {
  BODY_BYTES,
  bodyOf,
  failureOf,
  HEAD_BYTES,
  HEAD_TIMEOUT_MS,
  refuse,
  refuseMalformed,
  requestInvalid,
} from "./failures.ts";
import { openApiOptions } from "./openapi.ts";
import { readPage } from "./page-files.ts";
import { addPageRoutes } from "./page-routes.ts";
import { addMembershipRoutes, type MembershipOperations } from "./membership-routes.ts";
import { addPlanningRoutes } from "./planning-routes.ts";
import { addProcessRoutes } from "./process-routes.ts";
import { requireRoles, type App, type RouteContext } from "./route.ts";
import { addServiceRoutes } from "./service-routes.ts";
import { addSessionRoutes } from "./session-routes.ts";
import { listenOnTcp } from "./tcp.ts";
import { addSignInRoutes } from "./sign-in-routes.ts";
import { createStatusFeed } from "./status-feed.ts";
import { addTimelineRoutes } from "./timeline-routes.ts";
import { addTokenRoutes } from "./token-routes.ts";
import { openTokens, type Caller } from "./tokens.ts";
import { listenOnSocket } from "./unix-socket.ts";
import type { StatusView } from "./views.ts";

/** How long a whole request may take to arrive, in ms. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How long a connection may be still while it is answered, in ms: a deploy that copies a large build says nothing until it has. */
const IDLE_TIMEOUT_MS = 300_000;
/** Connections of one listener at once. */
const CONNECTIONS = 1000;
const HTTP_LIMITS = {
  maxHeaderSize: HEAD_BYTES,
  headersTimeout: HEAD_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 5000,
};
const TLS_LIMITS = { minVersion: "TLSv1.2", handshakeTimeout: HEAD_TIMEOUT_MS } as const;
/** How long close() lets what is being answered come to its end, in ms. */
const CLOSE_GRACE_MS = 5000;

export interface ApiOptions {
  readonly operations: Operations;
  readonly audit: AuditLog;
  readonly signing: Pick<AuditSigning, "verify" | "export">;
  /** How far the sinks of the audit log are; left out: there is none. */
  readonly auditSinks?: () => readonly AuditSinkState[];
  /** How the stores of control and of the host are; null: not known. Left out: nobody tells. */
  readonly stores?: () => { readonly control: StoreHealth; readonly host: StoreHealth | null };
  /** The tokens that were made by way of the API. */
  readonly tokens: TokenStore;
  readonly membership: MembershipOperations;
  /** The first token, with the role admin; not empty. */
  readonly token: string;
  /** Where people find the first token. */
  readonly tokenFile: string;
  /** Left out: by TCP no TLS, and loopback only. */
  readonly tls?: TlsFiles;
  /** Directory with the built dashboard, which is read once; it may be missing. */
  readonly page: string;
  readonly version: string;
  /** Why control is not ready; null when it is. */
  readonly ready: () => string | null;
  /** The text of /metrics. */
  readonly metrics: () => Promise<string>;
  /**
   * Copies the databases into a directory, each as it is at one moment.
   * @throws HoldoverError BACKUP_FAILED, LINK_DOWN
   */
  readonly copyStores: (dir: string) => Promise<void>;
  readonly clock?: Clock;
  readonly log?: CallLog;
}

/** Whoever can open the unix socket. */
const OPERATOR: Caller = { name: "operator", role: "admin", expiresAtMs: null, isLetIn: () => true };

interface ApiAddress {
  /** Absolute path of the unix socket: mode 0600, in a directory that is made with mode 0700 if it is missing. */
  readonly socketPath: string;
  /** A loopback address or `localhost`; by TLS any address. */
  readonly host: string;
  /** 0 for one that is free. */
  readonly port: number;
}

export interface Api {
  /**
   * Listens on both ways in, or on none.
   * @throws HoldoverError ALREADY_RUNNING, PORT_TAKEN, LISTEN_FAILED
   */
  listen(address: ApiAddress): Promise<{ url: string }>;
  /** Event streams that are open. */
  openStreams(): number;
  /** Takes no more calls, ends the event streams, and gives what is being answered 5 s. */
  close(): Promise<void>;
}

/**
 * The control API: one application with two ways in. Whoever can open the unix socket is trusted (actor `operator`);
 * by TCP on loopback the caller needs a token with the role of the route (actor `api:` and the token's name).
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { operations, audit, clock = SYSTEM_CLOCK, log = SILENT } = options;
  const tokens = await openTokens(options.tokens, options.token, clock);
  const failedCalls = countFailedCalls(clock, (address) =>
    log.warn({ address }, "the API is called from this address without a valid token, again and again"),
  );
  const certificate = options.tls && (await openCertificate(options.tls, clock, log));
  const isOurName = (host: string): boolean => certificate?.isFor(host) ?? false;
  const gate = createGate({ tokens, tokenFile: options.tokenFile, failedCalls, isOurName });
  const status = (): StatusView => {
    const sinks = options.auditSinks?.() ?? [];
    const stores = options.stores?.();
    return {
      ...operations.status(),
      ...(stores && { store: storeView(stores.control), hostStore: stores.host && storeView(stores.host) }),
      ...(sinks.length > 0 && { auditSinks: [...sinks] }),
    };
  };
  const streams = createEventStreams(audit, createStatusFeed(status, clock, log), clock, log);
  /** Whom the gate has let in by TCP. Who came by the unix socket is not in it. */
  const callers = new WeakMap<IncomingMessage, Caller>();
  let closing: Promise<void> | undefined;

  const app: App = fastify({
    bodyLimit: BODY_BYTES,
    routerOptions: { maxParamLength: 256 },
    genReqId: callId,
    frameworkErrors: (error, _request, reply) => fail(error, reply),
  }).withTypeProvider<ZodTypeProvider>();

  function fail(thrown: unknown, reply: FastifyReply): void {
    const failure = failureOf(thrown);
    if (failure.code === "INTERNAL") {
      log.error({ err: failure.cause ?? failure, request: reply.request.id }, failure.message);
    }
    // As text, so that no schema of an answer can stand between an error and whoever has to read it.
    void reply.code(failure.status).type("application/json; charset=utf-8").serializer(String).send(bodyOf(failure));
  }

  app.setErrorHandler((error, _request, reply) => fail(error, reply));
  app.setNotFoundHandler((request, reply) =>
    fail(new HoldoverError("ROUTE_UNKNOWN", { method: request.method, path: pathOf(request.raw) }), reply),
  );
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (data: unknown) => {
    const part = httpPart === "querystring" ? "query" : httpPart === "params" ? "path" : (httpPart ?? "request");
    // A body that is left out is one in which every field is.
    const result = schema.safeParse(httpPart === "body" && data === null ? {} : data);
    return result.success ? { value: result.data } : { error: requestInvalid(part.replace(/s$/, ""), result.error) };
  });
  app.setSerializerCompiler(serializerCompiler);

  const parseJson = app.getDefaultJsonParser("error", "error");
  // JSON alone: a web page can send text or a form to any address without asking, JSON it cannot.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, null);
    else void parseJson(request, body.toString(), done);
  });

  app.addHook("onSend", async (_request, reply) => {
    // The page's own files may be kept; what is told of Holdover may not.
    if (!reply.hasHeader("cache-control")) void reply.header("cache-control", "no-store");
    void reply.header("x-content-type-options", "nosniff");
    if (closing) void reply.header("connection", "close");
  });

  requireRoles(app, (request) => callers.get(request) ?? null);
  await app.register(swagger, openApiOptions(options.version));
  const context: RouteContext = {
    operations,
    status,
    audit,
    tokens,
    callerOf: (request) => callers.get(request.raw) ?? OPERATOR,
    actorOf(request) {
      const caller = callers.get(request.raw);
      const way = caller ? `api:${caller.name}` : "operator";
      const name = request.headers["holdover-actor"];
      return typeof name === "string" ? `${way}:${name}` : way;
    },
  };
  addCallLog(app, context, log);
  addServiceRoutes(app, context);
  addSessionRoutes(app, context);
  addPlanningRoutes(app, context);
  addTimelineRoutes(app, context);
  addAuditRoutes(app, context, options.signing, streams);
  addTokenRoutes(app, context, clock);
  addSignInRoutes(app, context, failedCalls, clock);
  addMembershipRoutes(app, context, options.membership, clock);
  addPageRoutes(app, await readPage(options.page, log));
  addProcessRoutes(app, context, { ...options, clock, log });
  await app.ready();

  // Which listener took a request is settled here and not by asking its socket: one that is torn down has no address any more.
  const bySocket = prepared(createServer(HTTP_LIMITS), log, (request, response) => app.routing(request, response));
  const secure = certificate && createSecureServer({ ...HTTP_LIMITS, ...TLS_LIMITS, ...certificate.pem() });
  const byTcp = prepared(secure ?? createServer(HTTP_LIMITS), log, (request, response) => {
    try {
      const caller = gate(request);
      if (caller) callers.set(request, caller);
    } catch (error) {
      refuse(request, response, asHoldoverError(error));
      return;
    }
    app.routing(request, response);
  });

  return {
    async listen({ socketPath, host, port }) {
      await listenOnSocket(bySocket, socketPath);
      try {
        const url = await listenOnTcp(byTcp, host, port, certificate !== undefined);
        certificate?.watch((pem) => secure?.setSecureContext({ ...TLS_LIMITS, ...pem }));
        return { url };
      } catch (error) {
        await stop(bySocket, clock);
        throw error;
      }
    },
    openStreams: () => streams.count(),
    close() {
      closing ??= (async () => {
        streams.close();
        certificate?.close();
        await Promise.all([stop(bySocket, clock), stop(byTcp, clock)]);
        await app.close();
      })();
      return closing;
    },
  };
}

function storeView({ bytes, problem }: StoreHealth): NonNullable<StatusView["store"]> {
  return { sizeBytes: bytes, problem };
}

function prepared<Any extends Server | SecureServer>(server: Any, log: ApiLog, listener: RequestListener): Any {
  server.on("request", listener);
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = CONNECTIONS;
  server.on("clientError", refuseMalformed);
  // A connection that could not be accepted (no file descriptor left) must not end the process.
  server.on("error", (error) => {
    if (server.listening) log.error({ err: error }, "the API could not accept a connection");
  });
  return server;
}

/** Does nothing to a server that does not listen. */
async function stop(server: Server | SecureServer, clock: Clock): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    const cancel = clock.after(CLOSE_GRACE_MS, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}

const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};

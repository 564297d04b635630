import { covers, ERRORS, HoldoverError, type AuditLog, type ErrorCode, type Role } from "@holdover/core";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import type { Operations } from "../operations.ts";
import type { Caller, Tokens } from "./tokens.ts";
import { errorBody, type StatusView } from "./views.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the token of a caller by TCP has to have; null: anybody may call, without a token too. */
    role?: Role | null;
  }
}

/** The application that the routes are added to; schemas type what a handler gets and what it has to return. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What the routes work on. */
export interface RouteContext {
  readonly operations: Operations;
  /** What operations tell, with what the control process knows of itself. */
  readonly status: () => StatusView;
  readonly audit: AuditLog;
  readonly tokens: Tokens;
  /** Who asks, on a route that names a role. */
  readonly callerOf: (request: Pick<FastifyRequest, "raw">) => Caller;
  /** Who asks, for the audit log: the way that was taken in with the name of the token, and the name that the caller gave. */
  readonly actorOf: (request: Pick<FastifyRequest, "raw" | "headers">) => string;
}

/** Items in an answer, at the most. */
const LIMIT_MAX = 10_000;
const LIMIT_DEFAULT = 100;

export const limit = z.coerce
  .number()
  .int()
  .min(1)
  .max(LIMIT_MAX)
  .default(LIMIT_DEFAULT)
  .meta({ description: `How many at the most, 1 to ${LIMIT_MAX}.` });

export const serviceParams = z.strictObject({ service: z.string() });
export const releaseParams = z.strictObject({ service: z.string(), release: z.string() });

/** On every call that changes something. */
export const actorHeader = z.looseObject({
  "holdover-actor": z
    .string()
    .regex(/^[\x20-\x7e]{1,64}$/, "write 1 to 64 printable ASCII characters")
    .optional()
    .meta({
      description:
        "Who asks, for the audit log: `ana` is recorded as `operator:ana`, with the token `ci` as `api:ci:ana`.",
    }),
});

type Failures = Readonly<Record<number, typeof failure>>;
const failure = z.object({ error: errorBody });

/** The error answers of a route, by status: the codes it can meet besides those that every route can. */
export function failures(...codes: readonly ErrorCode[]): Failures {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of ["REQUEST_INVALID", "UNAUTHORIZED", "TOO_MANY_FAILURES", ...codes, "INTERNAL"] as const) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [status, failure.meta({ description: same.join(", ") })]),
  );
}

/**
 * Sees to it that each route names the role that it needs, that the description of the API tells it, and that no caller
 * with a lesser one gets further. To be called before any route is added.
 * @param callerOf null: whoever came by the unix socket, or whom nobody had to let in
 */
export function requireRoles(app: App, callerOf: (request: IncomingMessage) => Caller | null): void {
  app.addHook("onRoute", (route) => {
    const role = route.config?.role;
    if (role === undefined) {
      throw new HoldoverError("INTERNAL", { problem: `the route ${route.url} does not say which role it needs` });
    }
    const { schema } = route;
    if (!schema) return;
    schema.security = role === null ? [] : [{ token: [role] }];
    if (role === null || role === "viewer") return;
    schema.response = { ...(schema.response as object), 403: failure.meta({ description: "FORBIDDEN" }) };
  });
  app.addHook("onRequest", async (request) => {
    const caller = callerOf(request.raw);
    const needed = request.routeOptions.config.role;
    // What is no route is answered as that, to whoever was let in.
    if (!caller || !needed || covers(caller.role, needed)) return;
    throw new HoldoverError("FORBIDDEN", { token: caller.name, role: caller.role, needed });
  });
}

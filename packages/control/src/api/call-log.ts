import { randomBytes } from "node:crypto";
import { givenRequestId, REQUEST_FIELD, requestIds } from "@holdover/core";
import type { FastifyRequest, RawRequestDefaultExpression } from "fastify";
import type { CallLog } from "./api-log.ts";
import type { App, RouteContext } from "./route.ts";

const newRequestId = requestIds(randomBytes(6).toString("hex"));
/** What a caller wrote is told so far, characters. */
const TEXT_CHARS = 200;

/** What a call is named in the log and in its answer: by its caller, where that is sane. */
export function callId(request: RawRequestDefaultExpression): string {
  return givenRequestId(request.rawHeaders) ?? newRequestId();
}

/** Names every answer after its request, and logs each call that may have changed something, and each that failed inside. */
export function addCallLog(app: App, { actorOf }: Pick<RouteContext, "actorOf">, log: CallLog): void {
  app.addHook("onSend", async (request, reply) => {
    void reply.header(REQUEST_FIELD, request.id);
  });
  app.addHook("onResponse", async (request, reply) => {
    const isReading = request.method === "GET" || request.method === "HEAD";
    if (isReading && reply.statusCode < 500) return;
    const call = {
      request: request.id,
      actor: actorOf(request),
      method: request.method,
      // The route and not the address: in that there may be what belongs to nobody's log.
      route: request.routeOptions.url ?? "none",
      ...placeOf(request),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    };
    log.info(call, "call");
  });
}

/** The service and the release that a call is about, where its address names them. */
function placeOf({ params }: FastifyRequest): Readonly<Record<string, string>> {
  const named = Object.entries((params ?? {}) as Readonly<Record<string, unknown>>);
  return Object.fromEntries(
    named.flatMap(([name, value]) =>
      (name === "service" || name === "release") && typeof value === "string"
        ? [[name, value.slice(0, TEXT_CHARS)]]
        : [],
    ),
  );
}

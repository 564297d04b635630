import { covers, HoldoverError, type Clock } from "@holdover/core";
import { z } from "zod";
import { countFailure } from "./access.ts";
import type { FailedCalls } from "./failed-calls.ts";
import { actorHeader, failures, type App, type RouteContext } from "./route.ts";
import { createSignInCodes } from "./sign-in-codes.ts";
import { callerView, signedInView, signInLinkRequest, signInLinkView, signInRequest } from "./sign-in-views.ts";

/** The longest body that anybody may send without a token, in bytes. */
const OPEN_BODY_BYTES = 1024;

/**
 * How a browser becomes somebody: a link that works once brings a code, and the code a token that the page keeps and sends
 * with each call.
 *
 * A token and not a cookie: a browser sends a cookie to every port of a host, so the application that Holdover serves on
 * the next port would be sent the right to deploy. And what no browser sends by itself, no other page can make it send.
 */
export function addSignInRoutes(app: App, context: RouteContext, failedCalls: FailedCalls, clock: Clock): void {
  const { tokens, callerOf, actorOf } = context;
  const codes = createSignInCodes(clock);

  app.get(
    "/v1/me",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getCaller",
        tags: ["tokens"],
        summary: "Who calls, and what they may do",
        response: { 200: callerView, ...failures() },
      },
    },
    async ({ raw }) => {
      const { name, role, expiresAtMs } = callerOf({ raw });
      return { name, role, expiresAtMs };
    },
  );

  app.post(
    "/v1/sign-in-links",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "createSignInLink",
        tags: ["tokens"],
        summary: "Make a link that lets a browser in, once",
        description: "For 10 minutes. The code is a fragment, which no browser sends: it stands in no log on the way.",
        headers: actorHeader,
        body: signInLinkRequest,
        response: { 201: signInLinkView, ...failures("FORBIDDEN") },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { role = caller.role } = request.body;
      if (!covers(caller.role, role)) {
        throw new HoldoverError("FORBIDDEN", { token: caller.name, role: caller.role, needed: role });
      }
      const { code, expiresAtMs } = codes.make({ role, actor: actorOf(request), untilMs: caller.expiresAtMs });
      reply.statusCode = 201;
      return { path: `/#code=${code}`, expiresAtMs };
    },
  );

  app.post(
    "/v1/sign-in",
    {
      config: { role: null },
      bodyLimit: OPEN_BODY_BYTES,
      schema: {
        operationId: "signIn",
        tags: ["tokens"],
        summary: "Give the code of a link for a token of 12 hours",
        description: "The token is named `page-` and eight digits, and is revoked like any other, or by `signOut`.",
        body: signInRequest,
        response: { 200: signedInView, ...failures("SIGN_IN_REFUSED", "STORE_FAILED") },
      },
    },
    async ({ body, raw }) => {
      const signIn = codes.take(body.code);
      if (!signIn) {
        countFailure(failedCalls, raw);
        throw new HoldoverError("SIGN_IN_REFUSED");
      }
      const { secret, token } = await tokens.signIn(signIn);
      const { name, role, expiresAtMs } = token;
      return { name, role, expiresAtMs, token: secret };
    },
  );

  app.post(
    "/v1/sign-out",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "signOut",
        tags: ["tokens"],
        summary: "Take back the token that this is called with, where it came by a link",
        headers: actorHeader,
        response: { 200: z.object({ revoked: z.boolean() }), ...failures("STORE_FAILED") },
      },
    },
    async ({ raw, headers }) => ({
      revoked: await tokens.signOut(callerOf({ raw }).name, actorOf({ raw, headers })),
    }),
  );
}

import type { ApiToken, Clock } from "@holdover/core";
import { z } from "zod";
import { actorHeader, failures, type App, type RouteContext } from "./route.ts";
import { newTokenView, tokenName, tokenRequest, tokenView, type TokenView } from "./views.ts";

const tokenList = z.object({ tokens: z.array(tokenView).meta({ description: "By name." }) });
const tokenParams = z.strictObject({ name: tokenName });

/** Who may call the API by TCP, and what. */
export function addTokenRoutes(app: App, { tokens, actorOf }: RouteContext, clock: Clock): void {
  const viewOf = ({ name, role, createdAtMs, expiresAtMs }: ApiToken): TokenView => {
    return { name, role, createdAtMs, expiresAtMs, expired: expiresAtMs !== null && expiresAtMs <= clock.now() };
  };

  app.get(
    "/v1/tokens",
    {
      config: { role: "admin" },
      schema: {
        operationId: "getTokens",
        tags: ["tokens"],
        summary: "The tokens of the API",
        description: "Without the one that stands in a file; expired ones are told as such.",
        response: { 200: tokenList, ...failures() },
      },
    },
    async () => ({ tokens: tokens.list().map(viewOf) }),
  );

  app.post(
    "/v1/tokens",
    {
      config: { role: "admin" },
      schema: {
        operationId: "createToken",
        tags: ["tokens"],
        summary: "Make a token with a role",
        headers: actorHeader,
        body: tokenRequest,
        response: { 201: newTokenView, ...failures("TOKEN_EXISTS", "STORE_FAILED") },
      },
    },
    async (request, reply) => {
      const { name, role, lastsMs = null } = request.body;
      const { secret, token } = await tokens.create({ name, role, lastsMs }, actorOf(request));
      reply.statusCode = 201;
      return { ...viewOf(token), secret };
    },
  );

  app.delete(
    "/v1/tokens/:name",
    {
      config: { role: "admin" },
      schema: {
        operationId: "revokeToken",
        tags: ["tokens"],
        summary: "Take a token back",
        description: "From the answer on it lets nobody in.",
        params: tokenParams,
        headers: actorHeader,
        response: { 200: z.object({ revoked: z.literal(true) }), ...failures("TOKEN_UNKNOWN", "STORE_FAILED") },
      },
    },
    (request) => tokens.revoke(request.params.name, actorOf(request)).then(() => ({ revoked: true as const })),
  );
}

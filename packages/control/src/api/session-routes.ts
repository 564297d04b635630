import { z } from "zod";
import { failures, limit, type App, type RouteContext } from "./route.ts";
import { endedSessionList, liveSessionList } from "./views.ts";

const service = z.string().optional().meta({ description: "Only of this service." });
const release = z.string().optional().meta({ description: "Only on this release." });

/** Sessions, live and over. */
export function addSessionRoutes(app: App, { operations }: RouteContext): void {
  app.get(
    "/v1/sessions",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getSessions",
        tags: ["sessions"],
        summary: "Live sessions",
        querystring: z.strictObject({
          service,
          release,
          key: z.string().optional().meta({ description: "Only with this session key." }),
          limit,
        }),
        response: { 200: liveSessionList, ...failures("LINK_DOWN") },
      },
    },
    async ({ query }) => ({ sessions: await operations.sessions(query) }),
  );

  app.get(
    "/v1/history",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getHistory",
        tags: ["sessions"],
        summary: "Sessions that are over",
        querystring: z.strictObject({ service, release, limit }),
        response: { 200: endedSessionList, ...failures() },
      },
    },
    async ({ query }) => {
      const filter = {
        ...(query.service !== undefined && { service: query.service }),
        ...(query.release !== undefined && { release: query.release }),
      };
      return { sessions: await operations.history(filter, query.limit) };
    },
  );
}

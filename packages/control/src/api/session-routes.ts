import { sessionRequest } from "@holdover/core";
import { z } from "zod";
import { failures, limit, serviceParams, type App, type RouteContext } from "./route.ts";
import { endedSessionList, liveSessionList, openedSessionView } from "./views.ts";

const service = z.string().optional().meta({ description: "Only of this service." });
const release = z.string().optional().meta({ description: "Only on this release." });

const { key, agent, tenant, label, payload } = sessionRequest.shape;
const newSession = z.strictObject({
  key: key.default(null).meta({ description: "What names it; left out: Holdover names it." }),
  agent: agent.default("default").meta({ description: "Which of the worker's agents it is for." }),
  tenant: tenant.default(null).meta({ description: "For whom it is; a worker may limit sessions by it." }),
  label: label.default(null).meta({ description: "One of the values of the service's label." }),
  payload: payload.default(null).meta({ description: "JSON of up to 64 KiB that the agent is handed." }),
});

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

  app.post(
    "/v1/services/:service/sessions",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "openSession",
        tags: ["sessions"],
        summary: "Open a session on a worker, as a job",
        description:
          "Offers it to the workers of the releases that admit new sessions until one takes it. 201: a worker has taken " +
          "it, and it runs. 200: a session with this key runs already; where it does is the answer, and the payload went " +
          "to nobody.",
        params: serviceParams,
        body: newSession,
        response: {
          200: openedSessionView,
          201: openedSessionView,
          ...failures(
            "SERVICE_UNKNOWN",
            "WORKER_NONE",
            "NO_INSTANCE",
            "SESSION_LIMIT",
            "STORE_FAILED",
            "HOST_CLOSING",
            "LINK_BUSY",
            "LINK_DOWN",
          ),
        },
      },
    },
    async ({ params, body }, reply) => {
      const { already, ...opened } = await operations.open({ ...body, service: params.service });
      reply.statusCode = already ? 200 : 201;
      return opened;
    },
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

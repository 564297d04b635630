import { sessionRequest } from "@holdover/core";
import { z } from "zod";
import { actorHeader, failures, limit, serviceParams, type App, type RouteContext } from "./route.ts";
import { KEY_MAX, movedView, moveRequest, sessionStoryView } from "./session-views.ts";
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
export function addSessionRoutes(app: App, { operations, actorOf }: RouteContext): void {
  app.get(
    "/v1/sessions",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getSessions",
        tags: ["sessions"],
        summary: "Live sessions",
        description: "`matches` counts all that answer the query, those that are not listed for want of room too.",
        querystring: z.strictObject({
          service,
          release,
          key: z.string().optional().meta({ description: "Only with this session key." }),
          search: z
            .string()
            .max(KEY_MAX)
            .optional()
            .meta({ description: "Only with this in the session key, in capitals or not." }),
          state: z.enum(["open", "lingering"]).optional().meta({ description: "Only in this state." }),
          order: z.enum(["oldest", "newest"]).default("oldest").meta({ description: "Which come first." }),
          limit,
        }),
        response: { 200: liveSessionList, ...failures("SERVICE_UNKNOWN", "CONTROL_BUSY", "LINK_DOWN") },
      },
    },
    async ({ query }) => {
      const { sessions, matches } = await operations.sessions(query);
      return { sessions: [...sessions], matches };
    },
  );

  app.get(
    "/v1/services/:service/session",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getSession",
        tags: ["sessions"],
        summary: "One session from its first connection to its last",
        description: "Its pin, the lives of its key that are over, and what the audit log has of it: the last of each.",
        params: serviceParams,
        querystring: z.strictObject({ key: z.string().min(1).max(KEY_MAX).meta({ description: "Its session key." }) }),
        response: { 200: sessionStoryView, ...failures("SERVICE_UNKNOWN", "SESSION_UNKNOWN", "LINK_DOWN") },
      },
    },
    ({ params, query }) => operations.session(params.service, query.key),
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

  app.post(
    "/v1/services/:service/sessions/move",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "moveSession",
        tags: ["sessions"],
        summary: "Have one session placed anew",
        description:
          "Its connections are asked to come back, as fast as the disconnect cap allows, and find it on a release that " +
          "takes new sessions. A job of a worker is only asked to finish.",
        params: serviceParams,
        headers: actorHeader,
        body: moveRequest,
        response: {
          200: movedView,
          ...failures(
            "SERVICE_UNKNOWN",
            "SESSION_NOT_LIVE",
            "NO_INSTANCE",
            "HOST_CLOSING",
            "LINK_DOWN",
            "STORE_FAILED",
          ),
        },
      },
    },
    async ({ params, body, raw, headers }) => {
      const { service } = params;
      const { key } = body;
      const { release, connections, to, job } = await operations.move(service, key, actorOf({ raw, headers }));
      return { service, key, release, connections, to, job };
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

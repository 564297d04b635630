import {
  deployPlanView,
  forecastView,
  preparedView,
  prepareRequest,
  restartPlanView,
  restartQuery,
  restartRequest,
} from "./forecast-views.ts";
import { actorHeader, failures, releaseParams, serviceParams, type App, type RouteContext } from "./route.ts";
import { releaseView } from "./views.ts";

const STORED = ["STORE_FAILED", "LINK_DOWN", "NOT_IN_FORCE", "HOST_CLOSING", "CONTROL_BUSY"] as const;

/** What follows from how long sessions last: forecasts, plans, and what is done by them. */
export function addPlanningRoutes(app: App, { operations, actorOf }: RouteContext): void {
  app.get(
    "/v1/services/:service/releases/:release/forecast",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getForecast",
        tags: ["retention"],
        summary: "Sessions left on a release over time, and when it will have retired",
        params: releaseParams,
        response: { 200: forecastView, ...failures("SERVICE_UNKNOWN", "RELEASE_UNKNOWN", "LINK_DOWN") },
      },
    },
    ({ params }) => operations.forecast(params.service, params.release),
  );

  app.get(
    "/v1/services/:service/deploy-plan",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getDeployPlan",
        tags: ["retention"],
        summary: "What a deploy would mean for the current release",
        description:
          "How long it would live, how many sessions the end of its window would cut, what the overlap costs, and in " +
          "which of the next 24 hours a deploy would be cheapest, by what the days before tell.",
        params: serviceParams,
        response: { 200: deployPlanView, ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", "LINK_DOWN") },
      },
    },
    ({ params }) => operations.deployPlan(params.service),
  );

  app.post(
    "/v1/services/:service/prepare",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "prepare",
        tags: ["retention"],
        summary: "Shrink the linger of the current release towards a cutover",
        description: "No session lingers for less than it was promised when it was last used.",
        params: serviceParams,
        headers: actorHeader,
        body: prepareRequest,
        response: { 200: preparedView, ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", ...STORED) },
      },
    },
    (request) => operations.prepare(request.params.service, request.body, actorOf(request)),
  );

  app.delete(
    "/v1/services/:service/prepare",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "unprepare",
        tags: ["retention"],
        summary: "Give the current release its normal linger again",
        params: serviceParams,
        headers: actorHeader,
        response: { 200: releaseView, ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", ...STORED) },
      },
    },
    (request) => operations.unprepare(request.params.service, actorOf(request)),
  );

  app.get(
    "/v1/services/:service/restart",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getRestartPlan",
        tags: ["retention"],
        summary: "What a rolling restart of the current release would do",
        params: serviceParams,
        querystring: restartQuery,
        response: {
          200: restartPlanView,
          ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", "RESTART_INFEASIBLE", "LINK_DOWN"),
        },
      },
    },
    ({ params, query }) => operations.restartPlan(params.service, query),
  );

  app.post(
    "/v1/services/:service/restart",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "restart",
        tags: ["retention"],
        summary: "Replace the instances of the current release, batch by batch",
        params: serviceParams,
        headers: actorHeader,
        body: restartRequest,
        response: {
          200: releaseView,
          ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", "RESTART_INFEASIBLE", ...STORED),
        },
      },
    },
    (request) => operations.restart(request.params.service, request.body, actorOf(request)),
  );

  app.delete(
    "/v1/services/:service/restart",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "stopRestart",
        tags: ["retention"],
        summary: "Call off a rolling restart: instances that are not replaced yet stay",
        params: serviceParams,
        headers: actorHeader,
        response: { 200: releaseView, ...failures("SERVICE_UNKNOWN", "NO_CURRENT_RELEASE", ...STORED) },
      },
    },
    (request) => operations.stopRestart(request.params.service, actorOf(request)),
  );
}

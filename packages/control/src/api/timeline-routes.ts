import { failures, serviceParams, type App, type RouteContext } from "./route.ts";
import { agesView, lengthsDetailView, timelineQuery, timelineView } from "./timeline-views.ts";

/** The sessions of a service over time: how many there were, how old they are, how long they last. */
export function addTimelineRoutes(app: App, { operations }: RouteContext): void {
  app.get(
    "/v1/services/:service/timeline",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getTimeline",
        tags: ["sessions"],
        summary: "Live sessions of each release over the last minutes and hours, and what happened to the releases",
        description:
          "Sessions are counted every 5 s and the counts are kept for 48 h. Where nobody could count, the link was down or " +
          "control was, there is a gap.",
        params: serviceParams,
        querystring: timelineQuery,
        response: { 200: timelineView, ...failures("SERVICE_UNKNOWN", "STORE_FAILED") },
      },
    },
    ({ params, query }) => operations.timeline(params.service, query),
  );

  app.get(
    "/v1/services/:service/lengths",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getLengths",
        tags: ["retention"],
        summary: "How long sessions last, how that changed over the days, and how much longer those will that are open",
        params: serviceParams,
        response: { 200: lengthsDetailView, ...failures("SERVICE_UNKNOWN", "LINK_DOWN") },
      },
    },
    ({ params }) => operations.lengths(params.service),
  );

  app.get(
    "/v1/services/:service/ages",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getAges",
        tags: ["sessions"],
        summary: "How old the open sessions of each release are",
        params: serviceParams,
        response: { 200: agesView, ...failures("SERVICE_UNKNOWN", "LINK_DOWN") },
      },
    },
    ({ params }) => operations.ages(params.service),
  );
}

import { HoldoverError, keptSamples, SERVICE_NAME } from "@holdover/core";
import { z } from "zod";
import { previewRequest, previewView } from "./preview-views.ts";
import { actorHeader, failures, limit, releaseParams, serviceParams, type App, type RouteContext } from "./route.ts";
import {
  compatibilityRequest,
  compatibilityView,
  deployRequest,
  instanceList,
  logLines,
  rampRequest,
  releaseView,
  retireRequest,
  rollbackRequest,
  serviceView,
  statusView,
} from "./views.ts";

const RELEASE = "/v1/services/:service/releases/:release";
const UNKNOWN = ["SERVICE_UNKNOWN", "RELEASE_UNKNOWN"] as const;
const STORED = ["STORE_FAILED", "LINK_DOWN", "NOT_IN_FORCE", "HOST_CLOSING", "CONTROL_BUSY"] as const;

/** Services, their releases and instances. */
export function addServiceRoutes(app: App, { operations, status, actorOf }: RouteContext): void {
  app.get(
    "/v1/status",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getStatus",
        tags: ["services"],
        summary: "Everything at one look",
        description:
          "Router, services and releases with their sessions, as control knows them now. A count of null is not known.",
        response: { 200: statusView, ...failures("CONTROL_BUSY") },
      },
    },
    async () => status(),
  );

  app.get(
    "/v1/services/:service",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getService",
        tags: ["services"],
        summary: "A service and its releases",
        params: serviceParams,
        response: { 200: serviceView, ...failures("SERVICE_UNKNOWN") },
      },
    },
    async ({ params }) => {
      const { services } = operations.status();
      const service = services.find(({ name }) => name === params.service);
      if (service) return service;
      const known = services.map(({ name }) => name).join(", ") || "none yet";
      throw new HoldoverError("SERVICE_UNKNOWN", { service: params.service, known });
    },
  );

  app.post(
    "/v1/services/:service/releases",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "deploy",
        tags: ["releases"],
        summary: "Deploy a release",
        description:
          "Takes the release up and answers at once: it is `starting`. Follow it by its own address or by the events. " +
          "A service that does not exist yet is created from the definition.",
        params: z.strictObject({
          service: z.string().regex(SERVICE_NAME, "a service name is 1 to 40 of a-z, 0-9 and dash, the first no dash"),
        }),
        headers: actorHeader,
        body: deployRequest,
        response: {
          202: releaseView,
          ...failures(
            "SERVICE_UNKNOWN",
            "RELEASE_UNKNOWN",
            "CONFIG_INVALID",
            "DIRECTORY_MISSING",
            "COMMAND_MISSING",
            "RELEASE_EXISTS",
            "DEPLOY_IN_PROGRESS",
            "NO_CURRENT_RELEASE",
            "SNAPSHOT_FAILED",
            ...STORED,
          ),
        },
      },
    },
    async (request, reply) => {
      const release = await operations.deploy(request.params.service, request.body, actorOf(request));
      reply.statusCode = 202;
      return release;
    },
  );

  app.post(
    "/v1/services/:service/compatibility",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "tryCompatibility",
        tags: ["releases"],
        summary: "Try what sessions keep on two releases",
        description:
          "The format gate alone, between two releases that run: each reads, in a process of its own, what live sessions " +
          "keep and what the other one makes of it. Changes nothing.",
        params: serviceParams,
        body: compatibilityRequest,
        response: {
          200: compatibilityView,
          ...failures(...UNKNOWN, "RELEASE_COLD", "FORMAT_TRIAL_FAILED", "LINK_DOWN", "STORE_FAILED"),
        },
      },
    },
    ({ params, body }) => operations.compatibility(params.service, body.from, body.to),
  );

  app.post(
    "/v1/services/:service/samples",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "takeSamples",
        tags: ["releases"],
        summary: "Samples of what sessions keep, redacted",
        description:
          "For `holdover compat --samples` in a CI job. Each has gone through the `redact` of its format, in a process of " +
          "the application; what has none is withheld.",
        params: serviceParams,
        response: {
          200: keptSamples,
          ...failures("SERVICE_UNKNOWN", "FORMAT_TRIAL_FAILED", "LINK_DOWN", "STORE_FAILED"),
        },
      },
    },
    ({ params }) => operations.samples(params.service),
  );

  app.get(
    RELEASE,
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getRelease",
        tags: ["releases"],
        summary: "A release",
        params: releaseParams,
        response: { 200: releaseView, ...failures(...UNKNOWN) },
      },
    },
    async ({ params }) => operations.release(params.service, params.release),
  );

  app.post(
    `${RELEASE}/promote`,
    {
      config: { role: "deployer" },
      schema: {
        operationId: "promote",
        tags: ["releases"],
        summary: "Make a release the current one",
        description: "New sessions start on it from now on. The one before is retained with its sessions.",
        params: releaseParams,
        headers: actorHeader,
        response: { 200: releaseView, ...failures(...UNKNOWN, "RELEASE_TRANSITION", "RELEASE_COLD", ...STORED) },
      },
    },
    (request) => operations.promote(request.params.service, request.params.release, actorOf(request)),
  );

  app.post(
    `${RELEASE}/ramp`,
    {
      config: { role: "deployer" },
      schema: {
        operationId: "ramp",
        tags: ["releases"],
        summary: "Give a release a share of the new sessions",
        description: "Pins that exist do not change.",
        params: releaseParams,
        headers: actorHeader,
        body: rampRequest,
        response: {
          200: releaseView,
          ...failures(...UNKNOWN, "NO_CURRENT_RELEASE", "RELEASE_TRANSITION", "RELEASE_COLD", ...STORED),
        },
      },
    },
    (request) =>
      operations.ramp(request.params.service, request.params.release, request.body.percent, actorOf(request)),
  );

  app.post(
    `${RELEASE}/retire`,
    {
      config: { role: "deployer" },
      schema: {
        operationId: "retire",
        tags: ["releases"],
        summary: "End a release before its window is over",
        description:
          "Its sessions are asked to move, paced, and cut at the end of the grace; with `now` they are cut at once, paced.",
        params: releaseParams,
        headers: actorHeader,
        body: retireRequest,
        response: { 200: releaseView, ...failures(...UNKNOWN, "RELEASE_IS_CURRENT", "RELEASE_TRANSITION", ...STORED) },
      },
    },
    (request) => operations.retire(request.params.service, request.params.release, request.body.now, actorOf(request)),
  );

  app.post(
    "/v1/services/:service/rollback",
    {
      config: { role: "deployer" },
      schema: {
        operationId: "rollback",
        tags: ["releases"],
        summary: "Go back to a retained release",
        description: "Answers with the release that is current now. It is warm, so new sessions start on it at once.",
        params: serviceParams,
        headers: actorHeader,
        body: rollbackRequest,
        response: {
          200: releaseView,
          ...failures(...UNKNOWN, "NO_PREVIOUS_RELEASE", "RELEASE_COLD", "RELEASE_TRANSITION", ...STORED),
        },
      },
    },
    (request) => operations.rollback(request.params.service, request.body, actorOf(request)),
  );

  app.post(
    "/v1/services/:service/preview",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "previewAction",
        tags: ["releases"],
        summary: "What an action would do, or why it would be refused",
        description: "Changes nothing. It is decided as the action itself is, on what is known at this moment.",
        params: serviceParams,
        body: previewRequest,
        response: { 200: previewView, ...failures("SERVICE_UNKNOWN") },
      },
    },
    ({ params, body }) => operations.preview(params.service, body),
  );

  app.get(
    `${RELEASE}/log`,
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getLog",
        tags: ["releases"],
        summary: "The last lines that a release's instances wrote",
        params: releaseParams,
        querystring: z.strictObject({
          instance: z.string().optional().meta({ description: "The id of one instance; left out: all of them." }),
          lines: limit,
        }),
        response: { 200: logLines, ...failures(...UNKNOWN, "INSTANCE_UNKNOWN") },
      },
    },
    async ({ params, query }) => ({
      lines: await operations.logs(params.service, params.release, query.instance, query.lines),
    }),
  );

  app.get(
    "/v1/instances",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getInstances",
        tags: ["services"],
        summary: "Instances of all services",
        description: "Those alive first, then the last ended ones.",
        response: { 200: instanceList, ...failures("LINK_DOWN") },
      },
    },
    async () => ({ instances: operations.instances() }),
  );
}

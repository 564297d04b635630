import { HoldoverError, type AuditLog, type Clock } from "@holdover/core";
import { z } from "zod";
import type { ApiLog } from "./api-log.ts";
import { actorHeader, failures, type App, type RouteContext } from "./route.ts";
import { backupRequest, shutdownRequest } from "./views.ts";

const ok = z.object({ ok: z.literal(true) });
const openApiDocument = z.looseObject({ openapi: z.string() });
const accepted = z.object({ accepted: z.literal(true) });
/** How long the answer to a shutdown waits for an error, in ms; the shutdown itself may take as long as its grace. */
const SHUTDOWN_ANSWER_MS = 1000;

export interface ProcessSources {
  readonly ready: () => string | null;
  readonly metrics: () => Promise<string>;
  /** See {@link ApiOptions.copyStores}. */
  readonly copyStores: (dir: string) => Promise<void>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: ApiLog;
}

/** The control process itself: probes, metrics, its description, its end. */
export function addProcessRoutes(app: App, { operations, actorOf }: RouteContext, sources: ProcessSources): void {
  app.get(
    "/healthz",
    {
      config: { role: null },
      schema: {
        operationId: "getHealth",
        tags: ["process"],
        summary: "Whether the control process answers",
        response: { 200: ok },
      },
    },
    async () => ({ ok: true as const }),
  );

  app.get(
    "/readyz",
    {
      config: { role: null },
      schema: {
        operationId: "getReadiness",
        tags: ["process"],
        summary: "Whether the control process is ready to take orders",
        description: "503 with the reason while it is not. Sessions are served all the same.",
        response: { 200: ok, ...failures("CONTROL_BUSY") },
      },
    },
    async () => {
      const problem = sources.ready();
      if (problem !== null) throw new HoldoverError("CONTROL_BUSY", { problem });
      return { ok: true as const };
    },
  );

  app.get(
    "/metrics",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getMetrics",
        tags: ["process"],
        summary: "Metrics in the Prometheus text format",
        response: { 200: z.string().meta({ description: "`text/plain; version=0.0.4`" }), ...failures() },
      },
    },
    async (_request, reply) => {
      const text = await sources.metrics();
      return reply.type("text/plain; version=0.0.4; charset=utf-8").send(text);
    },
  );

  let document: z.output<typeof openApiDocument> | undefined;
  app.get(
    "/openapi.json",
    {
      config: { role: null },
      schema: {
        operationId: "getOpenApi",
        tags: ["process"],
        summary: "This description, as OpenAPI 3.1",
        response: { 200: openApiDocument },
      },
    },
    async () => (document ??= openApiDocument.parse(app.swagger())),
  );

  let copying = false;
  const backup = async (dir: string, actor: string) => {
    if (copying) throw new HoldoverError("CONTROL_BUSY", { problem: "another backup is being written" });
    copying = true;
    try {
      await sources.copyStores(dir);
      const atMs = sources.clock.now();
      await sources.audit.append([{ atMs, kind: "backup.written", actor, reason: "asked", detail: { dir } }]);
      return { ok: true as const };
    } finally {
      copying = false;
    }
  };
  app.post(
    "/v1/backup",
    {
      config: { role: "admin" },
      schema: {
        operationId: "backup",
        tags: ["process"],
        summary: "Copy the databases, while they are in use",
        description:
          "Writes host.db and control.db into a directory, each as it is at one moment, and answers when both are there. " +
          "Keys and builds are files beside them, which `holdover backup` copies too.",
        headers: actorHeader,
        body: backupRequest,
        response: { 200: ok, ...failures("BACKUP_FAILED", "CONTROL_BUSY", "LINK_DOWN", "STORE_FAILED") },
      },
    },
    (request) => backup(request.body.dir, actorOf(request)),
  );

  app.post(
    "/v1/shutdown",
    {
      config: { role: "admin" },
      schema: {
        operationId: "shutdown",
        tags: ["process"],
        summary: "End Holdover",
        description:
          "Waits for live sessions up to the grace; with `now` cuts them at once, paced. The answer does not wait for the end.",
        headers: actorHeader,
        body: shutdownRequest,
        response: { 202: accepted, ...failures("LINK_DOWN", "STORE_FAILED") },
      },
    },
    async (request, reply) => {
      let answered = false;
      const shutdown = operations.shutdown(request.body.now, actorOf(request)).catch((error: unknown) => {
        if (!answered) throw error;
        sources.log.error({ err: error }, "the shutdown failed after it was accepted");
      });
      let cancel = () => {};
      const longEnough = new Promise<void>((resolve) => (cancel = sources.clock.after(SHUTDOWN_ANSWER_MS, resolve)));
      try {
        await Promise.race([shutdown, longEnough]);
      } finally {
        answered = true;
        cancel();
      }
      reply.statusCode = 202;
      return { accepted: true as const };
    },
  );
}

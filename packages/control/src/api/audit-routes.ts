import { Readable } from "node:stream";
import { HoldoverError } from "@holdover/core";
import { z } from "zod";
import type { AuditSigning } from "../audit-signing.ts";
import type { EventStreams } from "./event-streams.ts";
import { failures, limit, type App, type RouteContext } from "./route.ts";
import { auditPage, auditVerdict } from "./views.ts";

const seq = z.coerce.number().int().min(0);

/** Kinds that may be asked for at once. */
const KINDS_MOST = 20;
const kindSought = z
  .string()
  .regex(/^[a-z-]{1,40}\.[a-z-]{0,40}$/, "write a kind, `release.current`, or a noun, `release.`");

const sought = {
  service: z.string().optional().meta({ description: "Only of this service." }),
  release: z.string().optional().meta({ description: "Only of this release." }),
  session: z.string().optional().meta({ description: "Only of the session with this key." }),
  kind: z
    .preprocess((given) => (typeof given === "string" ? [given] : given), z.array(kindSought).min(1).max(KINDS_MOST))
    .optional()
    .meta({
      description: "Only of this kind, or with a dot at the end of all kinds of a noun: `release.`. Repeatable.",
    }),
  sinceMs: z.coerce.number().optional().meta({ description: "Only what happened then or later, epoch ms." }),
};

/** The record of what happened: to read, to verify and to follow. */
export function addAuditRoutes(
  app: App,
  { audit, callerOf }: RouteContext,
  signing: Pick<AuditSigning, "verify" | "export">,
  streams: EventStreams,
): void {
  app.get(
    "/v1/audit",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getAudit",
        tags: ["audit"],
        summary: "Audit entries",
        description:
          "Page forward with `after`, the number of the last entry that was read; or take the last ones with `tail`. What " +
          "is sought besides narrows either: the next entries that match, or the last ones.",
        querystring: z
          .strictObject({
            after: seq.optional().meta({ description: "Entries with a higher number only; left out: from the first." }),
            limit,
            tail: limit.unwrap().optional().meta({ description: "The last entries, this many; without `after`." }),
            ...sought,
          })
          .refine(({ after, tail }) => after === undefined || tail === undefined, {
            path: ["tail"],
            message: "send either `after` or `tail`",
          }),
        response: { 200: auditPage, ...failures() },
      },
    },
    async ({ query: { after = 0, limit, tail, kind, ...rest } }) => {
      const filter = { ...rest, kinds: kind };
      return { entries: await (tail === undefined ? audit.read(after, limit, filter) : audit.tail(tail, filter)) };
    },
  );

  app.get(
    "/v1/audit/verify",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "verifyAudit",
        tags: ["audit"],
        summary: "Follow the audit chain from its first entry to its head",
        description: "It has to go through the head that was signed last, too.",
        response: { 200: auditVerdict, ...failures("AUDIT_BROKEN") },
      },
    },
    async () => {
      const { head, signed } = await signing.verify();
      return {
        entries: head.seq,
        head: head.hash,
        signed: signed && { entries: signed.seq, atMs: signed.atMs, publicKey: signed.publicKey },
      };
    },
  );

  app.get(
    "/v1/audit/export",
    {
      // A HEAD request would read the whole log for nothing.
      exposeHeadRoute: false,
      config: { role: "viewer" },
      schema: {
        operationId: "exportAudit",
        tags: ["audit"],
        summary: "The audit log as lines of JSON, to be kept and verified elsewhere",
        description:
          "The first line says where it begins, the last is the signed head of what is exported. Without the last the " +
          "export is not whole: the answer broke off.",
        querystring: z.strictObject({
          after: seq.default(0).meta({ description: "Entries with a higher number only." }),
          until: seq.optional().meta({ description: "The last entry; left out: the last there is." }),
        }),
        response: {
          200: z.string().meta({ description: "`application/x-ndjson`: one AuditEntry a line between the two." }),
          ...failures("AUDIT_BROKEN"),
        },
      },
    },
    async ({ query }, reply) => {
      const lines = await signing.export(query.after, query.until ?? null);
      // A page at a time, as the caller takes it; the schema only describes it.
      const text = Readable.from(lines) as unknown as string;
      return reply.type("application/x-ndjson; charset=utf-8").send(text);
    },
  );

  app.get(
    "/v1/events",
    {
      // A HEAD request would open a stream that never ends.
      exposeHeadRoute: false,
      config: { role: "viewer" },
      schema: {
        operationId: "getEvents",
        tags: ["audit"],
        summary: "Follow what happens, as server-sent events",
        description:
          "One event `audit` for each audit entry, its number as the id. A comment every 15 s keeps the connection. " +
          "A client that does not read is dropped; it resumes without a gap by the id of the last event it has seen. " +
          "With `status=true` an event `status` without an id tells what is now, as `/v1/status` does: at once, then " +
          "when it has changed, at most once a second and at least every 5 s. The stream ends with the token's validity.",
        headers: z.looseObject({
          "last-event-id": seq
            .optional()
            .meta({ description: "What EventSource sends on a reconnect; goes before `after`." }),
        }),
        querystring: z.strictObject({
          after: seq
            .optional()
            .meta({ description: "Begin after this entry; left out: with the next that is written." }),
          status: z.enum(["true", "false"]).default("false").meta({ description: "Whether the status is told too." }),
        }),
        response: {
          200: z.string().meta({
            description: "`text/event-stream`: the data of an event `audit` is an AuditEntry, of `status` a Status.",
          }),
          ...failures("STREAM_LIMIT", "CONTROL_BUSY"),
        },
      },
    },
    async (request, reply) => {
      const head = await audit.head();
      const after = request.headers["last-event-id"] ?? request.query.after ?? head.seq;
      if (after > head.seq) {
        // An id of another log, perhaps of one that was put back from a copy: waiting for it would hide what happens until then.
        throw new HoldoverError("REQUEST_INVALID", { problem: `after: ${after} is past the last entry, ${head.seq}` });
      }
      const { isLetIn } = callerOf(request);
      streams.open(reply.raw, { afterSeq: after, status: request.query.status === "true", isLetIn });
      return reply.hijack();
    },
  );
}

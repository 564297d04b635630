import { ERRORS, formatTrialReport, releaseId, ROLES, type ErrorCode } from "@holdover/core";
import { z } from "zod";

/** What the API shows and takes. The same schemas check requests, write the OpenAPI document and type the command line. */

const TOKEN_LASTS_MOST_MS = 3650 * 86_400_000;

const epochMs = z.number().meta({ description: "Epoch time in ms." });

export const sessionCountView = z
  .object({
    open: z.int(),
    lingering: z.int(),
    connections: z.int(),
    wedged: z.int().meta({ description: "Of the open ones of a retained release: those without a byte for long." }),
  })
  .meta({ id: "SessionCount" });

export const retirementView = z
  .object({
    lowMs: epochMs,
    medianMs: epochMs,
    highMs: epochMs,
    known: z.boolean().meta({ description: "False: the late end rests on lengths that were never seen." }),
  })
  .meta({
    id: "Retirement",
    description: "When a release will have retired: the median and the ends of the 80% interval.",
  });

export const instanceView = z
  .object({
    id: z.string(),
    service: z.string(),
    release: z.string(),
    state: z.enum(["starting", "ready", "draining", "stopped", "lost"]),
    sinceMs: epochMs,
    startedAtMs: epochMs,
    address: z.string(),
    pid: z.int().nullable(),
    sessions: sessionCountView.nullable().meta({ description: "null: not known now." }),
    problem: z.string().nullable().meta({ description: "How it ended, where it has." }),
  })
  .meta({ id: "Instance" });

export const retentionView = z
  .object({
    policy: z.enum(["budget", "quantile", "fixed", "until-empty"]),
    rule: z
      .enum(["budget", "forecast", "quantile", "floor", "ceiling", "fixed", "empty", "grace"])
      .meta({ description: "What set the deadline." }),
    deadlineMs: epochMs
      .nullable()
      .meta({ description: "When what is left is ended, as far as is known; null: never." }),
    hardStopMs: epochMs.nullable().meta({ description: "When it ends whatever is live; null: never." }),
    floorUntilMs: epochMs,
    fromSessions: z.int().meta({ description: "Ended sessions that the deadline rests on." }),
    allowedCuts: z.int().optional().meta({
      description: "Sessions that the disruption budget lets be cut; left out where no budget sets the window.",
    }),
    wouldCut: z
      .number()
      .nullable()
      .meta({ description: "Sessions that the deadline will cut, as an expectation; null: unknown." }),
    retires: retirementView.nullable().meta({ description: "The forecast; null: session lengths are not known." }),
    why: z.string(),
  })
  .meta({ id: "Retention" });

export const releaseView = z
  .object({
    id: z.string(),
    service: z.string(),
    state: z.enum(["starting", "ready", "ramping", "current", "retained", "expiring", "retired", "failed"]),
    sinceMs: epochMs,
    createdAtMs: epochMs,
    currentAtMs: epochMs.meta({ description: "When it last became current; 0 for never." }),
    admission: z.enum(["new", "existing", "none"]),
    percent: z.number().meta({ description: "Percent of the new sessions it takes ahead of the current release." }),
    then: z.enum(["promote", "ramp", "wait"]).meta({ description: "What happens once it is ready." }),
    dir: z.string(),
    digest: z.string().nullable(),
    instancesWanted: z.int(),
    instances: z.array(instanceView).meta({ description: "Instances alive, oldest first." }),
    sessions: sessionCountView.nullable().meta({ description: "null: not known now." }),
    lingerMs: z
      .number()
      .meta({ description: "How long a session that is used from now on keeps its place without a connection." }),
    preparation: z
      .object({ fromMs: epochMs, untilMs: epochMs, lingerMs: z.number() })
      .nullable()
      .meta({ description: "How its linger shrinks towards a cutover." }),
    restart: z
      .object({
        sinceMs: epochMs,
        batch: z.int(),
        waitMs: z.number(),
        graceMs: z.number(),
        waiting: z.array(z.string()),
        leaving: z.array(z.string()),
        leavingSinceMs: epochMs.nullable(),
      })
      .nullable()
      .meta({ description: "The rolling restart that is under way." }),
    retention: retentionView.nullable().meta({ description: "For a retained or expiring release." }),
    problem: z
      .string()
      .nullable()
      .meta({ description: "Why it has fewer healthy instances than it should, where it has." }),
    formats: formatTrialReport
      .optional()
      .meta({ description: "What the format gate found; left out where no release declares a format." }),
    failure: z.object({ code: z.string(), problem: z.string(), log: z.array(z.string()) }).nullable(),
  })
  .meta({ id: "Release" });

export const serviceView = z
  .object({
    name: z.string(),
    hosts: z.array(z.string()),
    path: z.string(),
    current: z.string().nullable(),
    sessions: sessionCountView.nullable(),
    releases: z.array(releaseView).meta({ description: "Oldest first." }),
  })
  .meta({ id: "Service" });

const auditSinkView = z
  .object({
    name: z.string(),
    sentSeq: z.int().nullable().meta({ description: "The last entry that it has taken in; null: not known yet." }),
    backlog: z.int().nullable().meta({ description: "Entries that it has not taken in." }),
    failure: z
      .object({ problem: z.string(), sinceMs: epochMs })
      .nullable()
      .meta({ description: "Why the last delivery failed, and since when none has succeeded." }),
  })
  .meta({ id: "AuditSink" });

const storeView = z.object({
  sizeBytes: z.number().nullable().meta({ description: "On disk; null: not known." }),
  problem: z.string().nullable().meta({ description: "Why the last change was not stored, until one is." }),
});

export const statusView = z
  .object({
    nowMs: epochMs,
    version: z.string(),
    startedAtMs: epochMs.meta({ description: "When the control process started." }),
    router: z.object({
      linked: z.boolean().meta({ description: "Whether the host is linked to control; if not, counts are not known." }),
      linkSinceMs: epochMs.optional().meta({ description: "Since when it is linked, or is not." }),
      address: z.string().nullable(),
      closing: z.boolean(),
      tableIssued: z.int(),
      tableInForce: z.int().nullable(),
    }),
    services: z.array(serviceView),
    store: storeView.optional().meta({ description: "Of control: releases, audit, history and tokens are in it." }),
    hostStore: storeView
      .nullable()
      .optional()
      .meta({ description: "Of the host: pins and checkpoints are in it; null: not known now." }),
    auditSinks: z.array(auditSinkView).optional().meta({ description: "Left out where there is none." }),
  })
  .meta({ id: "Status" });

export const liveSessionView = z
  .object({
    service: z.string(),
    key: z.string(),
    release: z.string(),
    instance: z.string().nullable(),
    fence: z.int(),
    state: z.enum(["open", "lingering"]),
    openedAtMs: epochMs,
    lingeringSinceMs: epochMs.nullable(),
    connections: z.int(),
    label: z.string().nullable(),
    wedgedSinceMs: epochMs.nullable(),
  })
  .meta({ id: "LiveSession" });

export const endedSessionView = z
  .object({
    service: z.string(),
    key: z.string(),
    release: z.string(),
    instance: z.string(),
    fence: z.int(),
    openedAtMs: epochMs,
    endedAtMs: epochMs,
    reason: z.enum(["hangup", "expired", "moved", "cut", "lost"]),
    connectionsClosed: z.int(),
    label: z.string().nullable(),
  })
  .meta({ id: "EndedSession" });

export const openedSessionView = z
  .object({ key: z.string(), release: z.string(), instance: z.string(), fence: z.int() })
  .meta({ id: "OpenedSession" });

export const auditEntryView = z
  .object({
    seq: z.int(),
    hash: z.string(),
    atMs: epochMs,
    kind: z.string(),
    actor: z.string(),
    reason: z.string(),
    service: z.string().optional(),
    release: z.string().optional(),
    instance: z.string().optional(),
    session: z.string().optional(),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  })
  .meta({ id: "AuditEntry" });

// A list comes inside an object, so that a field can be added beside it without breaking whoever reads it.
export const instanceList = z.object({ instances: z.array(instanceView) });
export const liveSessionList = z.object({
  sessions: z.array(liveSessionView),
  matches: z.int().meta({ description: "How many there are in all." }),
});
export const endedSessionList = z.object({
  sessions: z.array(endedSessionView).meta({ description: "Newest first." }),
});
export const auditPage = z.object({ entries: z.array(auditEntryView).meta({ description: "Oldest first." }) });
export const logLines = z.object({ lines: z.array(z.string()).meta({ description: "Oldest first." }) });

export const auditVerdict = z.object({
  entries: z.int().meta({ description: "How many entries the chain has." }),
  head: z.string().meta({ description: "The hash of the last one." }),
  signed: z
    .object({
      entries: z.int().meta({ description: "How many entries the chain had then." }),
      atMs: epochMs,
      publicKey: z.string().meta({ description: "The raw Ed25519 key in base64url." }),
    })
    .nullable()
    .meta({ description: "The head that was signed last; null: none could be signed yet." }),
});

export const role = z
  .enum(ROLES)
  .meta({ description: "`viewer` reads, `deployer` changes releases and instances, `admin` may do everything." });

export const tokenView = z
  .object({
    name: z.string().meta({ description: "Whoever calls with it is `api:` and this name in the audit log." }),
    role,
    createdAtMs: epochMs,
    expiresAtMs: epochMs.nullable().meta({ description: "null: never." }),
    expired: z.boolean(),
  })
  .meta({ id: "Token" });

export const newTokenView = tokenView.extend({
  secret: z.string().meta({ description: "The token itself, told this once: what is stored is its SHA-256." }),
});

export const tokenName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,39}$/, "a token's name is 1 to 40 of a-z, 0-9, dot, dash and underscore");

export const tokenRequest = z.strictObject({
  name: tokenName,
  role,
  lastsMs: z
    .number()
    .int()
    .min(1000)
    .max(TOKEN_LASTS_MOST_MS)
    .optional()
    .meta({ description: "How long it is valid, in ms: from a second to ten years; left out: until it is revoked." }),
});

export const errorBody = z
  .object({
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    what: z.string().meta({ description: "What happened, and to what." }),
    next: z.string().meta({ description: "What to do next." }),
    details: z.record(z.string(), z.union([z.string(), z.number()])),
  })
  .meta({ id: "Error" });

export const deployRequest = z.strictObject({
  release: releaseId,
  dir: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "Absolute path of the build; left out: the snapshot of a retired release." }),
  definition: z
    .unknown()
    .optional()
    .meta({ description: "The service's section of holdover.yaml; it comes into force with this deploy." }),
  then: z
    .discriminatedUnion("then", [
      z.strictObject({ then: z.literal("promote") }),
      z.strictObject({ then: z.literal("ramp"), percent: z.number().gt(0).max(100) }),
      z.strictObject({ then: z.literal("wait") }),
    ])
    .default({ then: "promote" }),
  allowStateLoss: z
    .boolean()
    .optional()
    .meta({ description: "Go on although a rollback would lose what sessions keep. Audited as `override.used`." }),
});

export const compatibilityRequest = z.strictObject({
  from: releaseId.meta({ description: "The release whose sessions are to be read, and that may be rolled back to." }),
  to: releaseId.meta({ description: "The release that is to follow it." }),
});

export const compatibilityView = z
  .object({
    service: z.string(),
    from: z.string(),
    to: z.string(),
    reads: z.boolean().meta({ description: "`to` reads all that was tried of what sessions keep." }),
    readsBack: z.boolean().meta({ description: "`from` reads all of it that `to` writes: a rollback loses nothing." }),
    problems: z.array(z.string()).meta({ description: "What is wrong, in words." }),
    ...formatTrialReport.shape,
  })
  .meta({ id: "Compatibility" });

export const rampRequest = z.strictObject({ percent: z.number().gt(0).max(100) });

export const rollbackRequest = z.strictObject({
  to: z.string().optional().meta({ description: "Left out: the release that was current before." }),
  sessions: z
    .enum(["finish", "cut"])
    .default("finish")
    .meta({ description: "What becomes of the sessions on the release that is left." }),
});

export const retireRequest = z.strictObject({
  now: z
    .boolean()
    .default(false)
    .meta({ description: "Cut live sessions at once, paced, instead of asking them to move first." }),
});

export const backupRequest = z.strictObject({
  dir: z
    .string()
    .max(4096)
    .startsWith("/", "write an absolute path")
    .meta({ description: "A directory of the machine that Holdover runs on; it has no host.db and control.db yet." }),
});

export const shutdownRequest = z.strictObject({ now: z.boolean().default(false) });

export type RetirementView = z.output<typeof retirementView>;
export type InstanceView = z.output<typeof instanceView>;
export type ReleaseView = z.output<typeof releaseView>;
export type ServiceView = z.output<typeof serviceView>;
export type StatusView = z.output<typeof statusView>;
export type LiveSessionView = z.output<typeof liveSessionView>;
export type EndedSessionView = z.output<typeof endedSessionView>;
export type OpenedSessionView = z.output<typeof openedSessionView>;
export type AuditEntryView = z.output<typeof auditEntryView>;
export type AuditVerdict = z.output<typeof auditVerdict>;
export type TokenView = z.output<typeof tokenView>;
export type NewTokenView = z.output<typeof newTokenView>;
export type TokenRequest = z.output<typeof tokenRequest>;
export type CompatibilityView = z.output<typeof compatibilityView>;
export type DeployRequest = z.output<typeof deployRequest>;
export type RollbackRequest = z.output<typeof rollbackRequest>;

import { z } from "zod";
import { releaseView } from "./views.ts";

/** What the API tells of the past minutes and hours of a service, and of how old its sessions are. */

const epochMs = z.number().meta({ description: "Epoch time in ms." });

const epochQuery = z.coerce.number().min(0);

export const timelineQuery = z.strictObject({
  fromMs: epochQuery
    .optional()
    .meta({ description: "The first moment, epoch ms, up to 48 h ago; left out: an hour before the last." }),
  untilMs: epochQuery.optional().meta({ description: "The last moment, epoch ms; left out, or to come: now." }),
  points: z.coerce
    .number()
    .int()
    .min(2)
    .max(1000)
    .default(240)
    .meta({ description: "Moments at the most; two are 5 s apart at the least." }),
});

const laneView = z.object({
  release: z.string(),
  sessions: z.array(z.number().nullable()).meta({
    description:
      "Live sessions at each moment, open and lingering, as they were last counted since the moment before; so the lanes " +
      "of one moment add up. null: nobody knows, which is not zero.",
  }),
});

/** What happens to a release that a timeline shows. */
export const MARK_KINDS = [
  "release.starting",
  "release.ramping",
  "release.current",
  "release.rolled-back",
  "release.expiring",
  "release.retired",
  "release.failed",
] as const;

const markView = z.object({
  atMs: epochMs,
  seq: z.int().meta({ description: "Number of the audit entry." }),
  kind: z.enum(MARK_KINDS),
  release: z.string(),
  actor: z.string(),
  reason: z.string(),
});

export const timelineView = z
  .object({
    service: z.string(),
    nowMs: epochMs,
    fromMs: epochMs.meta({ description: "Of the first moment." }),
    stepMs: z.number().meta({ description: "Between two moments." }),
    moments: z.int().meta({ description: "How many there are. Where the last is now, its counts are those of now." }),
    lanes: z
      .array(laneView)
      .meta({ description: "Of the releases that had sessions or instances then, oldest first." }),
    marks: z.array(markView).meta({ description: "What happened to releases in that time, oldest first." }),
  })
  .meta({ id: "Timeline" });

/** Ages at which the bins of {@link agesView} end, ms; the last one has no end. */
export const AGE_BIN_ENDS_MS = [60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000] as const;

export const agesView = z
  .object({
    service: z.string(),
    nowMs: epochMs,
    endsMs: z.array(z.number()).meta({ description: "The age at which each bin but the last ends." }),
    releases: z.array(
      z.object({
        release: z.string(),
        state: releaseView.shape.state,
        open: z.array(z.int()).meta({ description: "Open sessions in each bin: one number more than `endsMs`." }),
        lingering: z.int(),
      }),
    ),
  })
  .meta({ id: "Ages", description: "How old the open sessions of each release are." });

const quantiles = { p50Ms: z.number().nullable(), p95Ms: z.number().nullable(), p99Ms: z.number().nullable() };

export const lengthsDetailView = z
  .object({
    service: z.string(),
    nowMs: epochMs,
    known: z.boolean(),
    ends: z.int().meta({ description: "Ended sessions that the estimate rests on." }),
    why: z.string(),
    ...quantiles,
    curve: z
      .array(z.object({ ageMs: z.number(), share: z.number() }))
      .meta({ description: "Share of sessions that last longer than an age (Kaplan–Meier); empty where unknown." }),
    days: z
      .array(z.object({ dayMs: epochMs, ends: z.int(), ...quantiles }))
      .meta({ description: "The same by the day (UTC) on which sessions ended, oldest first, of the last 14 days." }),
    residual: z
      .array(
        z.object({
          release: z.string(),
          sessions: z.int(),
          known: z.boolean().meta({ description: "False: the late quantiles rest on lengths that were never seen." }),
          ...quantiles,
          curve: z
            .array(z.object({ afterMs: z.number(), share: z.number() }))
            .meta({ description: "Share of its open sessions that last this much longer." }),
        }),
      )
      .meta({ description: "How much longer the sessions that are open now will last, given their ages." }),
  })
  .meta({ id: "LengthsDetail" });

export type TimelineQuery = z.output<typeof timelineQuery>;
export type TimelineView = z.output<typeof timelineView>;
export type AgesView = z.output<typeof agesView>;
export type LengthsDetailView = z.output<typeof lengthsDetailView>;

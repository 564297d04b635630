import { z } from "zod";
import { releaseView } from "./views.ts";

/** What the API tells of the past minutes and hours of a service, and of how old its sessions are. */

const epochMs = z.number().meta({ description: "Epoch time in ms." });

const laneView = z.object({
  release: z.string(),
  sessions: z
    .array(z.number().nullable())
    .meta({ description: "Live sessions at each moment, open and lingering; null: nobody knows, which is not zero." }),
});

const markView = z.object({
  atMs: epochMs,
  seq: z.int().meta({ description: "Number of the audit entry." }),
  kind: z.enum([
    "release.starting",
    "release.ramping",
    "release.current",
    "release.rolled-back",
    "release.expiring",
    "release.retired",
    "release.failed",
  ]),
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
    moments: z.int().meta({ description: "How many there are; the last is now." }),
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

export type TimelineView = z.output<typeof timelineView>;
export type AgesView = z.output<typeof agesView>;
export type LengthsDetailView = z.output<typeof lengthsDetailView>;

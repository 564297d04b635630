import { z } from "zod";
import { releaseView, retentionView, retirementView } from "./views.ts";

/** What the API tells of how long sessions last, and of what follows from it. */

const epochMs = z.number().meta({ description: "Epoch time in ms." });

const lengthsView = z
  .object({
    known: z.boolean(),
    ends: z.int().meta({ description: "Ended sessions that the estimate rests on." }),
    why: z.string(),
    medianMs: z.number().nullable(),
    p95Ms: z.number().nullable(),
  })
  .meta({ id: "Lengths", description: "How long sessions last, as estimated from the last of them." });

export const forecastView = z
  .object({
    service: z.string(),
    release: z.string(),
    state: releaseView.shape.state,
    nowMs: epochMs,
    sessions: z.int().nullable().meta({ description: "Sessions that hold it now; null: not known." }),
    lengths: lengthsView,
    trials: z.int().meta({ description: "Past forecasts whose outcome corrects this one." }),
    retention: retentionView.nullable().meta({ description: "For a retained or expiring release." }),
    retires: retirementView
      .nullable()
      .meta({ description: "Of a release that takes new sessions: if it were replaced now. null: nobody can tell." }),
    left: z
      .array(z.object({ atMs: epochMs, low: z.number(), median: z.number(), high: z.number() }))
      .nullable()
      .meta({ description: "Sessions left over time, with the ends of the 80% interval; null: nobody can tell." }),
  })
  .meta({ id: "Forecast" });

const hourView = z.object({
  startsAtMs: epochMs,
  retiredAfterMs: z.number().nullable().meta({ description: "On average of the days; null: no day tells." }),
  days: z.int(),
});

export const deployPlanView = z
  .object({
    service: z.string(),
    release: z.string().meta({ description: "The current one, which the deploy would replace." }),
    nowMs: epochMs,
    sessions: z.int().nullable(),
    lengths: lengthsView,
    allowedCuts: z.int().meta({ description: "Sessions that the disruption budget lets be cut." }),
    window: z.object({
      policy: retentionView.shape.policy,
      rule: retentionView.shape.rule,
      lastsMs: z.number().nullable().meta({ description: "The longest that it may last; null: nothing ends it." }),
      why: z.string(),
    }),
    oldLives: z
      .object({ lowMs: z.number(), medianMs: z.number(), highMs: z.number(), known: z.boolean() })
      .nullable()
      .meta({ description: "How long the old release would live from now; null: nobody can tell." }),
    cutAtCeiling: z.number().nullable().meta({ description: "Sessions that the end of the window would cut." }),
    instances: z.int(),
    instanceHours: z
      .object({ low: z.number(), median: z.number(), high: z.number() })
      .nullable()
      .meta({ description: "What the overlap costs: instances of the old release stop as they empty." }),
    instanceHoursMost: z.number().nullable().meta({ description: "If none stopped before the window ends." }),
    hours: z.array(hourView).meta({ description: "The next 24 hours, as deploys in them would have done before." }),
    cheapest: hourView.nullable(),
  })
  .meta({ id: "DeployPlan" });

const tailPoint = z.object({
  afterMs: z.number(),
  normal: z
    .number()
    .meta({ description: "Share of the sessions that still hold the old release, with the normal linger." }),
  prepared: z.number().meta({ description: "The same with the linger of the cutover." }),
});

const WEEK_MS = 7 * 86_400_000;

export const prepareRequest = z.strictObject({
  inMs: z.number().min(1000).max(WEEK_MS).meta({ description: "When the cutover is to come, from now." }),
  lingerMs: z
    .number()
    .min(0)
    .max(WEEK_MS)
    .optional()
    .meta({ description: "The linger at the cutover; left out: `session.cutoverLinger` of the service." }),
});

export const preparedView = z
  .object({
    release: releaseView,
    tail: z.array(tailPoint).nullable().meta({ description: "After the cutover; null: nobody can tell." }),
  })
  .meta({ id: "Prepared" });

export const restartRequest = z.strictObject({
  batch: z.int().min(1).max(256).default(1).meta({ description: "Instances that are replaced at once." }),
  waitMs: z
    .number()
    .min(0)
    .max(WEEK_MS)
    .meta({ description: "How long the sessions of a batch may end by themselves before they are asked to move." }),
  graceMs: z
    .number()
    .min(0)
    .max(WEEK_MS)
    .optional()
    .meta({ description: "How long that may take before what is left is cut; left out: the grace of its retention." }),
});

/** The same in a query, where everything is text. */
export const restartQuery = z.strictObject({
  batch: z.coerce.number().pipe(restartRequest.shape.batch.unwrap()).default(1),
  waitMs: z.coerce.number().pipe(restartRequest.shape.waitMs),
  graceMs: z.coerce.number().pipe(restartRequest.shape.graceMs.unwrap()).optional(),
});

export const restartPlanView = z
  .object({
    service: z.string(),
    release: z.string(),
    waitMs: z.number(),
    graceMs: z.number(),
    batches: z.array(
      z.object({
        instances: z.array(z.string()),
        startsAfterMs: z.number(),
        expectedMoved: z
          .number()
          .nullable()
          .meta({ description: "Sessions asked to move after the wait; null: all that are left." }),
        connections: z.number().meta({ description: "Connections that have to be closed then." }),
        closingMs: z.number().meta({ description: "How long that takes under the disconnect cap." }),
      }),
    ),
    expectedMs: z.number(),
    mostMs: z.number().meta({ description: "If not one session ended by itself." }),
    expectedMoved: z.number().nullable(),
    expectedCut: z.number(),
    mostCut: z.number().meta({ description: "Sessions cut if not one ended by itself." }),
  })
  .meta({ id: "RestartPlan" });

export type LengthsView = z.output<typeof lengthsView>;
export type ForecastView = z.output<typeof forecastView>;
export type DeployPlanView = z.output<typeof deployPlanView>;
export type TailPoint = z.output<typeof tailPoint>;
export type PrepareRequest = z.output<typeof prepareRequest>;
export type PreparedView = z.output<typeof preparedView>;
export type RestartRequest = z.output<typeof restartRequest>;
export type RestartPlanView = z.output<typeof restartPlanView>;

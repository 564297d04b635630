import { releaseId } from "@holdover/core";
import { z } from "zod";
import { KEY_MAX } from "./session-views.ts";
import { deployPlanView, restartPlanView, restartRequest } from "./forecast-views.ts";

/** An action, as it would be asked for, and what it would do. */

export const previewRequest = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("deploy"), release: releaseId }),
  z.strictObject({ action: z.literal("promote"), release: z.string() }),
  z.strictObject({ action: z.literal("ramp"), release: z.string(), percent: z.number().gt(0).max(100) }),
  z.strictObject({
    action: z.literal("rollback"),
    to: z.string().optional(),
    sessions: z.enum(["finish", "cut"]).default("finish"),
  }),
  z.strictObject({ action: z.literal("retire"), release: z.string(), now: z.boolean().default(false) }),
  z.strictObject({ action: z.literal("restart"), ...restartRequest.shape }),
  z.strictObject({ action: z.literal("move"), key: z.string().max(KEY_MAX) }),
]);

export const previewView = z
  .object({
    service: z.string(),
    action: z.enum(["deploy", "promote", "ramp", "rollback", "retire", "restart", "move"]),
    release: z
      .string()
      .nullable()
      .meta({ description: "The release that it acts on; of a rollback the one gone back to." }),
    nowMs: z.number().meta({ description: "Epoch time in ms." }),
    problem: z
      .object({ code: z.string(), what: z.string(), next: z.string() })
      .nullable()
      .meta({ description: "Why it would be refused now; null: it would be done." }),
    moves: z
      .number()
      .nullable()
      .meta({ description: "Live sessions that it asks to move, at the most; null: not known." }),
    cuts: z
      .number()
      .nullable()
      .meta({ description: "Live sessions that it may end by force, at the most; null: not known." }),
    confirm: z
      .string()
      .nullable()
      .meta({ description: "What a person has to type before it is done, as it may end sessions; null: nothing." }),
    effects: z
      .array(z.string())
      .meta({ description: "What it would do, one sentence each, the most important first." }),
    deployPlan: deployPlanView.nullable(),
    restartPlan: restartPlanView.nullable(),
  })
  .meta({ id: "Preview" });

export type PreviewRequest = z.output<typeof previewRequest>;
export type PreviewView = z.output<typeof previewView>;

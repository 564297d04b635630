import { z } from "zod";
import { auditEntryView, endedSessionView, liveSessionView } from "./views.ts";

/** One session from its first connection to its last, and what can be done to it. */

export const sessionStoryView = z
  .object({
    service: z.string(),
    key: z.string(),
    live: liveSessionView.nullable().meta({ description: "Its pin now; null: it is over." }),
    ended: z.array(endedSessionView).meta({ description: "The lives of this key that are over, newest first." }),
    entries: z.array(auditEntryView).meta({ description: "What the audit log has of it, oldest first." }),
  })
  .meta({ id: "SessionStory" });

export const moveRequest = z.strictObject({ key: z.string() });

export const movedView = z
  .object({ service: z.string(), key: z.string(), release: z.string(), connections: z.int() })
  .meta({ description: "The release that it lived on, and the connections that are asked to come back." });

export type SessionStoryView = z.output<typeof sessionStoryView>;
export type MovedView = z.output<typeof movedView>;

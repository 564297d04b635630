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

/** No session key is longer, in characters. */
export const KEY_MAX = 256;

export const moveRequest = z.strictObject({ key: z.string().max(KEY_MAX) });

export const movedView = z
  .object({
    service: z.string(),
    key: z.string(),
    release: z.string().meta({ description: "The one that it lived on." }),
    connections: z
      .int()
      .meta({ description: "Those that are asked to come back, as fast as the disconnect cap allows." }),
    to: z.string().meta({ description: "The release that it would be placed on now." }),
    job: z
      .boolean()
      .meta({ description: "A worker holds it as a job: it is asked to finish, and stays until it has." }),
  })
  .meta({ id: "Moved" });

export type SessionStoryView = z.output<typeof sessionStoryView>;
export type MovedView = z.output<typeof movedView>;

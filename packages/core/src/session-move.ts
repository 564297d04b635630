import { z } from "zod";

/** One session is to be placed anew, by word. */
export const sessionMove = z.object({
  service: z.string(),
  key: z.string(),
  /** The one that it is to be ended under, so that a call which comes twice moves nothing twice. Null: only says what it would do. */
  fence: z.int().nullable(),
});

export type SessionMove = z.output<typeof sessionMove>;

/** What a move comes to, or would come to. */
export interface SessionMoved {
  /** Where the session lives until it is closed. */
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
  /** Those that are asked to come back. */
  readonly connections: number;
  /** A worker holds it as a job: it is only asked, and stays where it is until it has finished. */
  readonly job: boolean;
  /** The release that a session would be placed on now. */
  readonly to: string;
}

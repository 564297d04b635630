import type { FencedSession, JobPlace } from "@holdover/core";
import type { Slot } from "./agent-slots.ts";
import type { SessionOutcome, WatchedSession } from "./agent-watchers.ts";

/** A session as a job has it, where nothing richer is put in its place. */
export interface JobSession extends FencedSession {
  /** Keep it beside whatever the session writes elsewhere, and refuse what comes with an older one. */
  readonly fence: number;
  readonly label: string | null;
  /** When the session began, epoch ms; kept where it was placed anew. */
  readonly openedAtMs: number;
}

/** What an agent is given. */
export interface Job<Session = JobSession> {
  readonly session: Session;
  readonly agent: string;
  readonly tenant: string | null;
  /** What whoever opened the session sent along; JSON, and as trustworthy as they are. */
  readonly payload: unknown;
  /** Aborts when the session is asked to come to its end: there is still the grace of its release to do so gracefully. */
  readonly finishing: AbortSignal;
  /** Aborts when the session is over: cut, or placed elsewhere. What goes on after it works on a session of another. */
  readonly signal: AbortSignal;
}

/** What runs a session: it is over when the promise settles, and has failed when that rejects. */
export type Agent<Session = JobSession> = (job: Job<Session>) => Promise<void>;

/** A job that runs. */
export interface RunningJob {
  readonly slot: Slot;
  readonly session: JobSession;
  readonly watched: WatchedSession;
  /** By this process's clock, ms. */
  readonly startedAtMs: number;
  readonly finishing: AbortController;
  readonly over: AbortController;
  /** Ended from outside by this; what its agent does after that is not its outcome any more. */
  ended: "cut" | "lost" | null;
  outcome: SessionOutcome | null;
}

export function runningJob(slot: Slot, { fence, openedAtMs }: JobPlace, startedAtMs: number): RunningJob {
  const { session, agent, tenant } = slot.offer;
  const { key, label } = session;
  return {
    slot,
    session: { key, fence, label, openedAtMs },
    watched: Object.freeze({ key, fence, label, agent, tenant, openedAtMs }),
    startedAtMs,
    finishing: new AbortController(),
    over: new AbortController(),
    ended: null,
    outcome: null,
  };
}

/** No two sessions that run here have the same. */
export function idOf(key: string, fence: number): string {
  return `${fence} ${key}`;
}

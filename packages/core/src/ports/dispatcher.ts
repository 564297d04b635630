/** A job as it is offered: nothing is stored of it yet, so it has no fence. */
export interface JobOffer {
  /** Names the offer until it is confirmed or withdrawn; of no meaning after that. */
  readonly id: number;
  readonly session: { readonly key: string; readonly label: string | null };
  readonly agent: string;
  readonly tenant: string | null;
  /** Whatever was sent along; JSON. */
  readonly payload: unknown;
}

/** What the store has given to a session that a job is for. */
export interface JobPlace {
  readonly fence: number;
  /** When the session began, epoch ms; kept where it was placed anew. */
  readonly openedAtMs: number;
}

/** Why a job is not taken. All of it may be different a moment later, but for `unknown-agent` and `closed`. */
export const REFUSALS = [
  "draining",
  "full",
  "tenant-full",
  "tenant-failing",
  "failing",
  "unknown-agent",
  "closed",
] as const;
export type Refusal = (typeof REFUSALS)[number];

export type OfferAnswer = { readonly accepted: true } | { readonly accepted: false; readonly reason: Refusal };

/**
 * How a session is being ended from outside: asked to finish (`moved`), ended by force (`cut`), or placed elsewhere since
 * (`lost`).
 */
export type JobEnding = "moved" | "cut" | "lost";

/** How a job ended, as its dispatcher has to know. Of a session that was lost it knows already. */
export type JobEnd = "completed" | "failed" | "cut";

/** A session under the fence that it was given. */
export interface FencedSession {
  readonly key: string;
  readonly fence: number;
}

/** The pool's side, called by the dispatcher. Nothing of it throws. */
export interface JobDesk {
  /**
   * Answered in the same turn: either a slot is kept for the job until it is confirmed or withdrawn, or it is refused and
   * nothing has changed. An offer that comes a second time before that is answered as the first time.
   */
  offer(offer: JobOffer): OfferAnswer;
  /**
   * It is stored that the session lives here: the job begins. False: the pool knows of no such job; then the session runs
   * nowhere, and the dispatcher MUST end it.
   */
  confirm(id: number, place: JobPlace): boolean;
  /** The acceptance came too late or was lost on its way: its slot is free again. After confirm it does nothing. */
  withdraw(id: number): void;
  /** A session is being ended. Does nothing where that one, under that fence, is not here. */
  ending(key: string, fence: number, how: JobEnding): void;
}

/**
 * Where jobs come from: Holdover's own broker, or another one.
 *
 * For each offer that was accepted, a dispatcher MUST call exactly one of confirm and withdraw, however its link breaks:
 * the pool keeps the slot until then, and has no time limit of its own, since a job that it gave up could still be
 * confirmed. What it accepted and what is stored are one decision: MUST NOT withdraw a job that the other side holds for
 * taken.
 */
export interface Dispatcher {
  /**
   * Offers come from now on, and not before.
   * @throws whatever stands in the way; then no offer ever comes
   */
  open(desk: JobDesk): Promise<void>;

  /**
   * Resolves once no offer comes any more (true) or offers may come again (false). Calls MUST come into force in their
   * order; the last one counts, over a link that broke in between too. The pool refuses on its own from the call on.
   * @throws for false, where the other side has given this worker up meanwhile, as it may while it drains and has no
   * session: then no offer ever comes
   */
  draining(isDraining: boolean): Promise<void>;

  /** The job has ended. MUST settle within a time limit; what could not be told is the dispatcher's to tell again. */
  finished(session: FencedSession, end: JobEnd): Promise<void>;

  /** The end of so many sessions was forced here, and why: for the audit log. MUST settle within a time limit. */
  forced(cut: number, reason: string): Promise<void>;

  /**
   * When what is still live of this release has to have ended, epoch ms: the end of its retention window, and of the grace
   * after it where the dispatcher ends sessions by itself then. Null while there is no such moment, or it is not known.
   */
  deadlineMs(): number | null;

  /**
   * Calls back at once with what the release of this pool admits, where that is known, and on every change of it. `new`
   * after something else is a rollback. Returns what ends it.
   */
  onAdmission(listener: (admits: "new" | "existing" | "none") => void): () => void;

  /** Ends it: nothing of the desk is called after it was called, but `withdraw` for what was accepted and not confirmed. */
  close(): Promise<void>;
}

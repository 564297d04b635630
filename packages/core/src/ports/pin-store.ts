import type { EndedSession, Pin, SessionEvent } from "../session.ts";

/** A place that a router has chosen for a session, before the store has said so. */
export interface PinCandidate {
  readonly service: string;
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  /** When the session began: now for a new one, its own past for one that is placed anew. */
  readonly openedAtMs: number;
  readonly label: string | null;
}

/** A session event before it has its number. */
export type SessionEventDraft = SessionEvent extends infer Event
  ? Event extends unknown
    ? Omit<Event, "seq">
    : never
  : never;

/**
 * Where pins live. One store serves all routers of a Holdover; what it has answered survives a crash of any process.
 *
 * Everything that happened to a session goes out by the same store: an event is stored in one step with the change of
 * the pin that it tells of, and kept until the control plane has it.
 */
export interface PinStore {
  /**
   * Get or place. Without a pin for the key, the candidate becomes the pin. With a pin whose fence is `replaces`, the
   * candidate takes its place. With any other pin, that pin is returned and nothing changes: somebody else was first.
   *
   * MUST be atomic for a key over all routers. The fence MUST be higher than any that this store ever gave.
   * The pin MUST outlive a crash of this process once the promise has resolved.
   *
   * @throws HoldoverError STORE_FAILED when it cannot be written; then nothing has changed
   */
  place(candidate: PinCandidate, replaces: number | null, atMs: number): Promise<Pin>;

  /**
   * Removes the pins and stores the ends, in one step. A session whose pin has another fence by now is passed over:
   * MUST NOT touch a newer placement. Returns those that were ended.
   */
  end(sessions: readonly EndedSession[], atMs: number): Promise<EndedSession[]>;

  /** Stores that these sessions lost their instance. The pins stay, until a connection places them anew or they end. */
  disrupted(pins: readonly { readonly pin: Pin; readonly connections: number }[], atMs: number): Promise<void>;

  /** Every pin, in no order. */
  pins(): Promise<Pin[]>;

  /** The oldest events that are not forgotten, at most `limit`, in the order in which they happened. */
  events(limit: number): Promise<SessionEvent[]>;

  /** The control plane has all events up to this number; they MAY be dropped, later ones MUST NOT. */
  forgetEvents(upToSeq: number): Promise<void>;

  close(): Promise<void>;
}

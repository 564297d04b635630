/**
 * connecting: a connection is being made, or its welcome is awaited. open: messages pass. waiting: until the next attempt.
 * closed: for good.
 */
export type State = "connecting" | "open" | "waiting" | "closed";

export interface Events {
  /** Messages pass. `resumed`: on the channel of before, so that nothing is missing. */
  open: { readonly resumed: boolean };
  message: string;
  /** Every message up to this number was received by the other end. */
  acknowledged: number;
  /** The server asked to connect again because the session is placed anew. The next connection is on its way. */
  moved: { readonly reason: string };
  /**
   * The instance that is there now does not know the channel: the state of the one before is gone. Messages that were not
   * acknowledged may have arrived there or not; they are not sent again unless you send them.
   */
  reset: { readonly unacknowledged: readonly string[] };
  state: State;
  /** It is over for good. What was not acknowledged may have arrived or not. */
  close: { readonly code: number; readonly reason: string; readonly unacknowledged: readonly string[] };
}

export interface Connection {
  readonly state: State;
  /** The session key, where one is asked for by `session`. Null otherwise. */
  readonly session: string | null;
  /** Messages that wait to be acknowledged, oldest first. */
  readonly unacknowledged: readonly string[];
  /**
   * Sends a message now, or as soon as there is a connection. Returns its number on this channel, 0 where messages are not
   * numbered.
   * @throws ConnectionError FULL, TOO_LARGE, CLOSED, and NOT_OPEN where messages are not numbered; then it is not sent
   */
  send(text: string): number;
  /**
   * Ends it for good.
   * @param code 1000 unless set, or 3000 to 4999
   * @param reason up to 123 bytes
   * @throws RangeError for another code or a longer reason
   */
  close(code?: number, reason?: string): void;
  /** Calls back for every event of a kind. Returns how to stop that. */
  on<Kind extends keyof Events>(kind: Kind, listener: (event: Events[Kind]) => void): () => void;
}

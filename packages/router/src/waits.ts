/** How long the data plane waits for a peer, in ms. Everything else goes on for as long as both ends like. */
export interface Waits {
  /**
   * For a TCP connection to an instance. Instances are on this machine or in its network, where a connection takes
   * milliseconds: what takes seconds is a full accept queue or a dead host, and the client should hear of it.
   */
  readonly connectMs: number;
  /**
   * For a peer's part in an ending: its Close frame, its FIN, the rest of a body that nobody wants any more. Several
   * round trips of the worst mobile network fit in; a peer that has gone is not waited for much longer.
   */
  readonly closeMs: number;
  /** For a request or its answer, once its session was moved: as long as the grace of an expiring release by default. */
  readonly finishMs: number;
}

export const WAITS: Waits = { connectMs: 5_000, closeMs: 5_000, finishMs: 30_000 };

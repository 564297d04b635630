import type { SessionSamples } from "../session-samples.ts";

/** How many sessions the releases of each service held, over the last days. */
export interface SessionTimeline {
  /** Stores some samples of each service, all or none. MUST NOT lose what it had. @throws HoldoverError STORE_FAILED */
  append(samples: ReadonlyMap<string, SessionSamples>): Promise<void>;
  /**
   * Every sample of a service within these times, both included, as it was appended and in that order; others that were
   * appended together with one of them MAY come along. MUST NOT give a sample of another service.
   */
  read(service: string, fromMs: number, untilMs: number): Promise<SessionSamples[]>;
  /** MUST forget what was appended together where all of it is older; MUST NOT forget anything else. */
  forget(beforeMs: number): Promise<void>;
}

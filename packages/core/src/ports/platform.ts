import type { Instance, InstanceSpec } from "../instance.ts";

/** Where instances run. */
export interface Platform {
  /**
   * Starts an instance. Resolves when it is among `instances()` as `starting`; whether it gets ready is observed there.
   * MUST do nothing for an id that it already knows.
   * @throws HoldoverError where it cannot even be tried
   */
  start(spec: InstanceSpec): Promise<void>;

  /**
   * Ends an instance: SIGTERM, and SIGKILL after `graceMs`. Resolves when it is `draining`; its end is observed.
   * MUST NOT be called for an instance that may hold a session, unless the data plane has given it up.
   * MUST do nothing for an instance that has ended.
   */
  stop(instance: string, graceMs: number): Promise<void>;

  /**
   * Every instance alive, and at least the last 10 ended ones of each release (the back-off counts them); null while
   * that is not known. MUST NOT leave out one that is alive, and one that was ready MUST stay so while it is adopted
   * after a restart: what the table does not list is taken for dead, and its sessions with it.
   * One that is `draining` MUST get to its end without being asked again.
   */
  instances(): readonly Instance[] | null;

  /** Calls back after every change of `instances()`; returns what ends it. */
  subscribe(listener: () => void): () => void;
}

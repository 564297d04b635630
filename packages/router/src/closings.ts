import { mayCloseNow, type RoutedService } from "@holdover/core";

/** Closes a connection on purpose. False: it had ended by itself meanwhile, and nothing was closed. */
export type Closing = () => boolean;

/**
 * Closes connections on purpose, never more at once than the service's disconnect cap allows (rule 6).
 * Those of one session are closed one after another, so that a room that is moved is soon together again.
 */
export class Closings {
  /** By service: what is left of the session whose connections are being closed. */
  readonly #left = new Map<string, Closing[]>();
  readonly #closedAtMs = new Map<string, number[]>();

  waiting(service: string): number {
    return this.#left.get(service)?.length ?? 0;
  }

  /**
   * Closes as many as may be closed now.
   * @param live connections of the service that are open now
   * @param more called while the cap has room and nothing waits: the next session's connections, or null for none
   */
  run(service: RoutedService, live: number, nowMs: number, more: () => Closing[] | null): void {
    const { name, disconnects } = service;
    const closed = (this.#closedAtMs.get(name) ?? []).filter((atMs) => atMs > nowMs - disconnects.periodMs);
    this.#closedAtMs.set(name, closed);
    for (let room = mayCloseNow(disconnects, live, closed, nowMs); room > 0;) {
      const next = this.#left.get(name)?.pop();
      if (next) {
        if (!next()) continue;
        closed.push(nowMs);
        room -= 1;
      } else {
        const session = more();
        if (!session) return;
        this.#left.set(name, session);
      }
    }
  }
}

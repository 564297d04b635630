import { mayCloseNow, type RoutedService } from "@holdover/core";

/** Closes a connection on purpose. False: it had ended by itself meanwhile, and nothing was closed. */
export type Closing = () => boolean;

/**
 * Closes connections on purpose, never more at once than the service's disconnect cap allows (rule 6).
 * Connections of one session stand next to each other, so that a room that is moved is soon together again.
 */
export class Closings {
  readonly #queues = new Map<string, Closing[]>();
  readonly #closedAtMs = new Map<string, number[]>();

  add(service: string, closings: readonly Closing[]): void {
    const queue = this.#queues.get(service);
    if (queue) queue.push(...closings);
    else this.#queues.set(service, [...closings]);
  }

  waiting(service: string): number {
    return this.#queues.get(service)?.length ?? 0;
  }

  /**
   * Closes as many as may be closed now.
   * @param live connections of the service that are open now
   * @param more called while the cap has room and nothing waits: queues the next session's connections, or returns false
   */
  run(service: RoutedService, live: number, nowMs: number, more: () => boolean): void {
    const { name, disconnects } = service;
    const closed = (this.#closedAtMs.get(name) ?? []).filter((atMs) => atMs > nowMs - disconnects.periodMs);
    this.#closedAtMs.set(name, closed);
    for (let room = mayCloseNow(disconnects, live, closed, nowMs); room > 0;) {
      const next = this.#queues.get(name)?.shift();
      if (next) {
        if (!next()) continue;
        closed.push(nowMs);
        room -= 1;
      } else if (!more()) {
        return;
      }
    }
  }
}

import type { Session } from "@holdover/core";
import { idOf } from "./ends.ts";
import type { InstanceClaim } from "./hold.ts";

/** So long after it was moved an instance may still bring a session's last state, ms. */
const KEEPS_MS = 60_000;

interface Left {
  readonly instance: string;
  readonly fence: number;
  readonly untilMs: number;
}

/**
 * Sessions that were moved from an instance a moment ago. What the application there writes last belongs to the session,
 * until the next owner claims it.
 */
export class Leaving {
  /** In the order in which they left. */
  readonly #left = new Map<string, Left>();

  add({ service, key, lastPlace }: Session, nowMs: number): void {
    const id = idOf(service, key);
    this.#left.delete(id);
    this.#left.set(id, { instance: lastPlace.instance, fence: lastPlace.fence, untilMs: nowMs + KEEPS_MS });
  }

  has({ service, key, instance, fence }: InstanceClaim): boolean {
    const left = this.#left.get(idOf(service, key));
    return left?.instance === instance && left.fence === fence;
  }

  forget(nowMs: number): void {
    for (const [id, { untilMs }] of this.#left) {
      if (untilMs > nowMs) return;
      this.#left.delete(id);
    }
  }
}

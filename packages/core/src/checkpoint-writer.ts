import { checkedEntries, CHECKPOINT_QUOTA, type CheckpointEntry, type SessionClaim } from "./checkpoint.ts";
import { HoldoverError } from "./errors.ts";
import type { CheckpointStore } from "./ports/checkpoint-store.ts";

/** Calls that may wait for the store at once, of one session. */
const MAX_WAITING = 1000;

/** Calls whose entries go to the store together. */
interface Batch {
  readonly entries: Map<string, CheckpointEntry>;
  readonly stored: PromiseWithResolvers<void>;
  calls: number;
}

/**
 * Brings the writes of one session to the store, one store write at a time and in order. All that is written within one
 * turn, or while a store write is under way, becomes the next one: of each entry the last value.
 */
export class CheckpointWriter {
  readonly #store: Pick<CheckpointStore, "write">;
  readonly #session: SessionClaim;
  #next: Batch | undefined;
  /** Calls that the store write under way carries. */
  #underWay = 0;
  #working = false;

  /** @param session under the fence that this instance holds it with */
  constructor(store: Pick<CheckpointStore, "write">, session: SessionClaim) {
    this.#store = store;
    this.#session = session;
  }

  /**
   * Resolves when these entries, or later values of the same names, are durable. They become so together: they are never
   * in two store writes. When that store write fails, all calls that were in it fail with it, and no others.
   *
   * @throws HoldoverError CHECKPOINT_BACKLOG while 1,000 calls wait; CHECKPOINT_INVALID and CHECKPOINT_TOO_LARGE for an
   *   entry that no store takes, which fails this call alone; whatever the store throws
   */
  async write(entries: readonly CheckpointEntry[]): Promise<void> {
    const checked = checkedEntries(this.#session, entries, CHECKPOINT_QUOTA);
    if (this.#underWay + (this.#next?.calls ?? 0) >= MAX_WAITING) {
      const { service, key } = this.#session;
      throw new HoldoverError("CHECKPOINT_BACKLOG", { service, key, limit: MAX_WAITING });
    }
    this.#next ??= { entries: new Map(), stored: Promise.withResolvers(), calls: 0 };
    const batch = this.#next;
    batch.calls += 1;
    for (const [name, entry] of checked) batch.entries.set(name, entry);
    if (!this.#working) void this.#work();
    return batch.stored.promise;
  }

  async #work(): Promise<void> {
    this.#working = true;
    // What else this turn writes comes along.
    await Promise.resolve();
    for (let batch = this.#next; batch; batch = this.#next) {
      this.#next = undefined;
      this.#underWay = batch.calls;
      try {
        await this.#store.write({ ...this.#session, entries: [...batch.entries.values()] });
        batch.stored.resolve();
      } catch (thrown) {
        batch.stored.reject(thrown);
      }
      this.#underWay = 0;
    }
    this.#working = false;
  }
}

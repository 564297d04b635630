import type { CheckpointEntry, CheckpointQuota, CheckpointStore } from "@holdover/core";
import { array, constantFrom, integer, oneof, record } from "fast-check";
import { expect } from "vitest";

/** One thing that an owner does, under whatever fence it believes in. */
interface CheckpointStep {
  readonly what: "claim" | "write" | "remove";
  readonly key: string;
  readonly fence: number;
  readonly entries: readonly { readonly name: string; readonly version: number; readonly size: number }[];
}

/** Small, so that a few writes reach its ends. */
export const TINY_QUOTA: CheckpointQuota = { entryBytes: 40, sessionBytes: 80, entries: 3 };

export const checkpointSteps = array(
  record<CheckpointStep>({
    what: constantFrom("claim", "write", "write", "write", "remove"),
    key: constantFrom("a", "b"),
    fence: integer({ min: 1, max: 4 }),
    entries: array(
      record({
        name: constantFrom("chat", "cart", "room", "turn"),
        version: integer({ min: 1, max: 2 }),
        size: oneof(integer({ min: 0, max: 40 }), constantFrom(41)),
      }),
      { maxLength: 4 },
    ),
  }),
  { maxLength: 30 },
);

interface Known {
  fence: number;
  writtenFence: number;
  entries: Map<string, CheckpointEntry>;
}

/** The contract of a CheckpointStore in its simplest form, beside a store with {@link TINY_QUOTA}. */
export function checkpointModel(stores: readonly CheckpointStore[], service: string) {
  const sessions = new Map<string, Known>();
  let marks = 0;

  /** The code that the store has to refuse a step with. */
  function refusal({ what, key, fence, entries }: CheckpointStep): string | undefined {
    const known = sessions.get(key);
    const stale = known ? fence < known.fence : what === "write";
    if (what === "write" && entries.some(({ size }) => size > TINY_QUOTA.entryBytes)) return "CHECKPOINT_TOO_LARGE";
    if (stale) return "CHECKPOINT_STALE";
    if (what !== "write") return undefined;
    const sizes = new Map([...(known?.entries ?? [])].map(([name, { bytes }]) => [name, bytes.byteLength]));
    for (const { name, size } of entries) sizes.set(name, size);
    const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    return sizes.size > TINY_QUOTA.entries || total > TINY_QUOTA.sessionBytes ? "CHECKPOINT_TOO_LARGE" : undefined;
  }

  function follow({ what, key, fence }: CheckpointStep, entries: readonly CheckpointEntry[]): void {
    if (what === "remove") {
      sessions.delete(key);
      return;
    }
    const known = sessions.get(key) ?? { fence, writtenFence: fence, entries: new Map<string, CheckpointEntry>() };
    known.fence = fence;
    if (what === "write") {
      known.writtenFence = fence;
      for (const entry of entries) known.entries.set(entry.name, entry);
    }
    sessions.set(key, known);
  }

  return {
    take: async (step: CheckpointStep, index: number): Promise<void> => {
      const store = stores[index % stores.length];
      if (!store) throw new Error("a model needs a store");
      const { what, key, fence } = step;
      const entries = step.entries.map(({ name, version, size }): CheckpointEntry => {
        // Every value is another one, so that an old one is not taken for a new one.
        marks += 1;
        return { name, format: `${name}-format`, version, bytes: new Uint8Array(size).fill(marks) };
      });
      const code = refusal(step);
      const done =
        what === "write" ? store.write({ service, key, fence, entries }) : store[what]({ service, key, fence });
      if (code) await expect(done).rejects.toMatchObject({ code });
      else {
        await done;
        follow(step, entries);
      }
    },
    /** Holds all that is stored against the model. */
    compare: async (): Promise<void> => {
      for (const store of stores) {
        for (const key of ["a", "b"]) {
          const known = sessions.get(key);
          const read = await store.read(service, key);
          expect(read && { fence: read.fence, entries: byName(read.entries) }).toEqual(
            known && known.entries.size > 0
              ? { fence: known.writtenFence, entries: byName([...known.entries.values()]) }
              : undefined,
          );
        }
      }
    },
  };
}

export function byName(entries: readonly CheckpointEntry[]): CheckpointEntry[] {
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

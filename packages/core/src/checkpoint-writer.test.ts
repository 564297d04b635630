import type { CheckpointEntry, CheckpointWrite } from "./checkpoint.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { HoldoverError } from "./errors.ts";
import { expect, it } from "vitest";
import * as fc from "fast-check";

const SESSION = { service: "chat", key: "room-1", fence: 3 };

/** What is behind a store that answers when it is told to. */
function slowStore() {
  const writes: { readonly write: CheckpointWrite; readonly answered: PromiseWithResolvers<void> }[] = [];
  let come = Promise.withResolvers<void>();
  return {
    writes,
    /** Resolves once so many writes have reached it. */
    reached: async (count: number): Promise<void> => {
      while (writes.length < count) await come.promise;
    },
    store: {
      write: (write: CheckpointWrite): Promise<void> => {
        const answered = Promise.withResolvers<void>();
        writes.push({ write, answered });
        come.resolve();
        come = Promise.withResolvers();
        return answered.promise;
      },
    },
  };
}

const entry = (name: string, value: number): CheckpointEntry => ({
  name,
  format: name,
  version: 1,
  bytes: Uint8Array.of(value),
});
const valuesOf = ({ entries }: CheckpointWrite) =>
  Object.fromEntries(entries.map(({ name, bytes }) => [name, bytes[0]]));
const full = () => new HoldoverError("STORE_FAILED", { file: "host.db", problem: "the disk is full" });

it("Writes of one turn become one store write under the session's fence, with the last value of each entry", async () => {
  const { store, writes, reached } = slowStore();
  const writer = new CheckpointWriter(store, SESSION);
  const done: string[] = [];
  const all = [
    writer.write([entry("a", 1), entry("b", 1)]).then(() => done.push("first")),
    writer.write([entry("a", 2)]).then(() => done.push("second")),
    writer.write([entry("c", 3)]).then(() => done.push("third")),
  ];
  await reached(1);
  expect(writes.map(({ write }) => ({ ...write, entries: valuesOf(write) }))).toEqual([
    { ...SESSION, entries: { a: 2, b: 1, c: 3 } },
  ]);
  expect(done).toEqual([]);
  writes[0]?.answered.resolve();
  await Promise.all(all);
  expect(done).toEqual(["first", "second", "third"]);
  expect(writes).toHaveLength(1);
});

it("What is written while a store write is under way waits, becomes the next one, and does not resolve with the first", async () => {
  const { store, writes, reached } = slowStore();
  const writer = new CheckpointWriter(store, SESSION);
  const first = writer.write([entry("a", 1)]);
  await reached(1);
  let later = 0;
  const second = writer.write([entry("a", 2)]).then(() => (later += 1));
  const third = writer.write([entry("b", 3)]).then(() => (later += 1));
  writes[0]?.answered.resolve();
  await first;
  await reached(2);
  expect(later).toBe(0);
  expect(writes.map(({ write }) => valuesOf(write))).toEqual([{ a: 1 }, { a: 2, b: 3 }]);
  writes[1]?.answered.resolve();
  await Promise.all([second, third]);
});

it("A store write that fails fails the calls that were in it and no others, and the next ones go on", async () => {
  const { store, writes, reached } = slowStore();
  const writer = new CheckpointWriter(store, SESSION);
  const failing = [writer.write([entry("a", 1)]), writer.write([entry("b", 1)])].map((call) =>
    expect(call).rejects.toMatchObject({ code: "STORE_FAILED" }),
  );
  await reached(1);
  const fine = writer.write([entry("a", 2)]);
  writes[0]?.answered.reject(full());
  await Promise.all(failing);
  await reached(2);
  expect(writes.map(({ write }) => valuesOf(write))).toEqual([{ a: 1, b: 1 }, { a: 2 }]);
  writes[1]?.answered.resolve();
  await fine;
  const last = writer.write([entry("a", 3)]);
  await reached(3);
  writes[2]?.answered.resolve();
  await last;
});

it("An entry that no store takes fails its own call alone", async () => {
  const { store, writes, reached } = slowStore();
  const writer = new CheckpointWriter(store, SESSION);
  const fine = writer.write([entry("a", 1)]);
  const huge = { ...entry("a", 2), bytes: new Uint8Array(1024 * 1024) };
  await expect(writer.write([huge, entry("b", 2)])).rejects.toMatchObject({ code: "CHECKPOINT_TOO_LARGE" });
  await expect(writer.write([{ ...entry("a", 2), name: "" }])).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
  await reached(1);
  expect(writes.map(({ write }) => valuesOf(write))).toEqual([{ a: 1 }]);
  writes[0]?.answered.resolve();
  await fine;
});

it("While 1,000 calls wait for the store, one more is refused; it is taken again once the store has answered", async () => {
  const { store, writes, reached } = slowStore();
  const writer = new CheckpointWriter(store, SESSION);
  const first = writer.write([entry("a", 0)]);
  await reached(1);
  const waiting = Array.from({ length: 999 }, (_, index) => writer.write([entry("a", index % 250)]));
  await expect(writer.write([entry("a", 251)])).rejects.toMatchObject({
    code: "CHECKPOINT_BACKLOG",
    details: { service: "chat", key: "room-1", limit: 1000 },
  });
  writes[0]?.answered.resolve();
  await first;
  const taken = writer.write([entry("b", 1)]);
  await reached(2);
  writes[1]?.answered.resolve();
  await Promise.all(waiting);
  await reached(3);
  writes[2]?.answered.resolve();
  await taken;
  expect(writes.map(({ write }) => valuesOf(write))).toEqual([{ a: 0 }, { a: 998 % 250 }, { b: 1 }]);
});

it("Whatever is written, and whichever store writes fail, what resolved is stored or was replaced by something later", async () => {
  const steps = fc.array(fc.record({ name: fc.constantFrom("a", "b", "c"), turnsBefore: fc.nat(2) }), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), async (all, fails) => {
      const stored = new Map<string, number>();
      let writes = 0;
      const store = {
        write: async (write: CheckpointWrite): Promise<void> => {
          writes += 1;
          const refused = fails[writes - 1];
          await new Promise(setImmediate);
          if (refused) throw full();
          for (const { name, bytes } of write.entries) stored.set(name, bytes[0] ?? 0);
        },
      };
      const writer = new CheckpointWriter(store, SESSION);
      const calls: Promise<{ readonly name: string; readonly value: number; readonly told: boolean }>[] = [];
      for (const [index, { name, turnsBefore }] of all.entries()) {
        for (let turn = 0; turn < turnsBefore; turn += 1) await new Promise(setImmediate);
        const value = index + 1;
        calls.push(
          writer.write([entry(name, value)]).then(
            () => ({ name, value, told: (stored.get(name) ?? 0) >= value }),
            () => ({ name, value, told: true }),
          ),
        );
      }
      const outcomes = await Promise.all(calls);
      expect(outcomes.filter(({ told }) => !told)).toEqual([]);
      // What is stored in the end is the last value of a call that was promised it, never one that came before.
      const kept = fails.slice(0, writes).some((refused) => !refused);
      expect(stored.size > 0).toBe(kept);
      expect(writes).toBeLessThanOrEqual(all.length);
    }),
    { numRuns: 100 },
  );
});

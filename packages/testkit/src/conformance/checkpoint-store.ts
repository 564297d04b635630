import type { CheckpointEntry, CheckpointQuota, CheckpointStore } from "@holdover/core";
import { CHECKPOINT_QUOTA } from "@holdover/core";
import { assert, asyncProperty } from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { byName, checkpointModel, checkpointSteps, TINY_QUOTA } from "./checkpoint-model.ts";

/** A fresh, empty store. */
export interface OpenedCheckpointStore {
  readonly store: CheckpointStore;
  /** The same data as another owner sees it. It may be the same store where only one process can have the data. */
  readonly second: CheckpointStore;
  /** The store as a process finds it that starts again. The one before is closed. */
  reopen(): Promise<CheckpointStore>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link CheckpointStore} keeps to. */
export function checkpointStoreConformance(
  name: string,
  open: (quota: CheckpointQuota) => Promise<OpenedCheckpointStore>,
): void {
  describe(`${name} as a CheckpointStore`, () => {
    let opened: OpenedCheckpointStore;
    let store: CheckpointStore;
    beforeEach(async () => {
      opened = await open(CHECKPOINT_QUOTA);
      store = opened.store;
    });
    afterEach(() => opened.close());

    const stale = { code: "CHECKPOINT_STALE" };
    const failure = { code: "STORE_FAILED" };

    async function stored(key = "room-1", service = "chat"): Promise<Record<string, string> | undefined> {
      const read = await store.read(service, key);
      return read && Object.fromEntries(read.entries.map(({ name, bytes }) => [name, textOf(bytes)]));
    }

    describe("write", () => {
      it("stores every entry with its format and version, and read gives them back to the last byte", async () => {
        const entries: CheckpointEntry[] = [
          { name: "cart", format: "cart", version: 3, bytes: Uint8Array.from({ length: 256 }, (_, byte) => byte) },
          { name: "empty", format: "empty", version: 1, bytes: new Uint8Array() },
          { name: "räum 房间", format: "🎲", version: Number.MAX_SAFE_INTEGER, bytes: bytesOf("x") },
        ];
        await store.claim(session(7));
        await store.write({ ...session(7), entries });
        const read = await store.read("chat", "room-1");
        expect(read?.fence).toBe(7);
        expect(byName(read?.entries ?? [])).toEqual(entries);
      });

      it("replaces the entries that it names, format and version included, and leaves the others", async () => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "a1"), entry("b", "b1")] });
        await store.write({ ...session(1), entries: [{ ...entry("b", "b2"), format: "other", version: 2 }] });
        await store.write({ ...session(1), entries: [] });
        expect(byName((await store.read("chat", "room-1"))?.entries ?? [])).toEqual([
          entry("a", "a1"),
          { ...entry("b", "b2"), format: "other", version: 2 },
        ]);
      });

      it("takes the last of two entries with one name", async () => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "first"), entry("b", "b"), entry("a", "last")] });
        expect(await stored()).toEqual({ a: "last", b: "b" });
      });

      it("keeps the same key of two services apart, and keys that differ in a sign only", async () => {
        const keys = ["room", "Room", "room ", "räum", "ra\u0308um", "a:b", "a", "房间", "🎲"];
        const all = keys.flatMap((key) => ["chat", "chat-a"].map((service) => ({ service, key, fence: 1 })));
        for (const each of all) {
          await store.claim(each);
          await store.write({ ...each, entries: [entry("a", `${each.service} ${each.key}`)] });
        }
        for (const { service, key } of all) expect(await stored(key, service)).toEqual({ a: `${service} ${key}` });
      });

      it("keeps no hold of the bytes that it was given, nor of those that it gave", async () => {
        const bytes = bytesOf("kept");
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [{ ...entry("a", ""), bytes }] });
        bytes.fill(0);
        (await store.read("chat", "room-1"))?.entries[0]?.bytes.fill(0);
        (await store.sample("chat", 1))[0]?.bytes.fill(0);
        expect(await stored()).toEqual({ a: "kept" });
      });

      it("has stored it when it resolves", async () => {
        await store.claim(session(3));
        await store.write({ ...session(3), entries: [entry("a", "1"), entry("b", "1")] });
        await store.write({ ...session(3), entries: [entry("a", "2")] });
        store = await opened.reopen();
        expect(await stored()).toEqual({ a: "2", b: "1" });
        await expect(store.write({ ...session(2), entries: [entry("a", "old")] })).rejects.toMatchObject(stale);
      });

      it("throws STORE_FAILED when it cannot be written, and nothing has changed, the known fence included", async () => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "1")] });
        await opened.refuseWrites(true);
        await expect(store.write({ ...session(2), entries: [entry("a", "2")] })).rejects.toMatchObject(failure);
        await expect(store.claim(session(3))).rejects.toMatchObject(failure);
        await expect(store.claim({ ...session(1), key: "room-2" })).rejects.toMatchObject(failure);
        await expect(store.remove(session(1))).rejects.toMatchObject(failure);
        await opened.refuseWrites(false);
        expect((await store.read("chat", "room-1"))?.fence).toBe(1);
        expect(await stored()).toEqual({ a: "1" });
        await store.write({ ...session(1), entries: [entry("a", "3")] });
        expect(await stored()).toEqual({ a: "3" });
      });
    });

    describe("a fence", () => {
      it("that is below the known one is refused for everything, and nothing changes", async () => {
        await store.claim(session(5));
        await store.write({ ...session(5), entries: [entry("a", "new")] });
        await expect(store.write({ ...session(4), entries: [entry("a", "old")] })).rejects.toMatchObject({
          ...stale,
          details: { service: "chat", key: "room-1", fence: 4 },
        });
        await expect(store.claim(session(4))).rejects.toMatchObject(stale);
        await expect(store.remove(session(4))).rejects.toMatchObject(stale);
        expect((await store.read("chat", "room-1"))?.fence).toBe(5);
        expect(await stored()).toEqual({ a: "new" });
      });

      it("that was claimed refuses older ones before anything was written under it, and keeps what there is", async () => {
        await store.claim(session(5));
        await store.write({ ...session(5), entries: [entry("a", "kept")] });
        await store.claim(session(6));
        await store.claim(session(6));
        await expect(store.write({ ...session(5), entries: [entry("a", "late")] })).rejects.toMatchObject(stale);
        expect(await store.read("chat", "room-1")).toEqual({ fence: 5, entries: [entry("a", "kept")] });
        store = await opened.reopen();
        await expect(store.write({ ...session(5), entries: [entry("a", "late")] })).rejects.toMatchObject(stale);
        await store.write({ ...session(6), entries: [entry("a", "next")] });
        expect(await store.read("chat", "room-1")).toEqual({ fence: 6, entries: [entry("a", "next")] });
      });

      it("above the known one is a claim as well when it writes", async () => {
        await store.claim(session(1));
        await store.write({ ...session(9), entries: [entry("a", "9")] });
        await expect(store.write({ ...session(8), entries: [entry("a", "8")] })).rejects.toMatchObject(stale);
        expect(await store.read("chat", "room-1")).toEqual({ fence: 9, entries: [entry("a", "9")] });
      });

      it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
        "that is %s is none, and is refused",
        async (fence) => {
          await store.claim(session(1));
          const none = { code: "CHECKPOINT_INVALID" };
          await expect(store.claim(session(fence))).rejects.toMatchObject(none);
          await expect(store.write({ ...session(fence), entries: [entry("a", "1")] })).rejects.toMatchObject(none);
          await expect(store.remove(session(fence))).rejects.toMatchObject(none);
          await store.write({ ...session(1), entries: [entry("a", "1")] });
          expect((await store.read("chat", "room-1"))?.fence).toBe(1);
        },
      );

      it("of two owners that both write without end: what the first was promised, the second reads, and nothing comes after", async () => {
        await store.claim(session(1));
        let promised = 0;
        const begun = Promise.withResolvers<void>();
        const first = (async () => {
          for (let count = 1; ; count += 1) {
            await store.write({ ...session(1), entries: [entry("count", `${count}`), entry("twin", `${count}`)] });
            promised = count;
            if (count === 25) begun.resolve();
            // A store in this process answers without a turn of the event loop: nobody else would get one.
            if (count % 5 === 0) await new Promise(setImmediate);
          }
        })();
        const refused = first.catch((thrown: unknown) => thrown);
        await begun.promise;
        await opened.second.claim(session(2));
        const seen = await opened.second.read("chat", "room-1");
        const values = (seen?.entries ?? []).map(({ bytes }) => Number(textOf(bytes)));
        expect(await refused).toMatchObject(stale);
        expect(values[0]).toBe(values[1]);
        expect(values[0]).toBe(promised);
        expect(await store.read("chat", "room-1")).toEqual(seen);
        await opened.second.write({ ...session(2), entries: [entry("count", "second")] });
        await expect(store.write({ ...session(1), entries: [entry("count", "first")] })).rejects.toMatchObject(stale);
        expect(await stored()).toEqual({ count: "second", twin: String(promised) });
      });

      it("wins by its height alone of all who write at once", async () => {
        await store.claim(session(1));
        const fences = Array.from({ length: 30 }, (_, index) => ((index * 7) % 30) + 1);
        const written = await Promise.allSettled(
          fences.map((fence, index) =>
            (index % 2 === 0 ? store : opened.second).write({ ...session(fence), entries: [entry("a", `${fence}`)] }),
          ),
        );
        expect(written.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
        expect(await store.read("chat", "room-1")).toEqual({ fence: 30, entries: [entry("a", "30")] });
      });
    });

    describe("remove", () => {
      it("forgets the entries; another session with the key begins with nothing", async () => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "secret"), entry("b", "secret")] });
        await store.remove(session(1));
        expect(await store.read("chat", "room-1")).toBeUndefined();
        expect(await store.sample("chat", 10)).toEqual([]);
        await store.claim(session(2));
        expect(await store.read("chat", "room-1")).toBeUndefined();
        store = await opened.reopen();
        expect(await store.read("chat", "room-1")).toBeUndefined();
      });

      it("is the end: a late write of its owner is refused, and stores nothing for whoever comes next", async () => {
        await store.claim(session(1));
        await store.remove(session(1));
        await expect(store.write({ ...session(1), entries: [entry("a", "late")] })).rejects.toMatchObject(stale);
        await expect(store.write({ ...session(1), key: "never", entries: [] })).rejects.toMatchObject(stale);
        await store.claim(session(2));
        expect(await store.read("chat", "room-1")).toBeUndefined();
      });

      it("does nothing for a session that is not known, and works under a higher fence than was claimed", async () => {
        await store.remove(session(1));
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "1")] });
        await store.claim({ ...session(1), key: "room-2" });
        await store.write({ ...session(1), key: "room-2", entries: [entry("a", "2")] });
        await store.remove(session(3));
        expect(await stored()).toBeUndefined();
        expect(await stored("room-2")).toEqual({ a: "2" });
      });
    });

    describe("quotas", () => {
      const { entryBytes, sessionBytes, entries: most } = CHECKPOINT_QUOTA;
      const tooLarge = { code: "CHECKPOINT_TOO_LARGE" };
      const sized = (name: string, size: number): CheckpointEntry => ({
        ...entry(name, ""),
        bytes: new Uint8Array(size),
      });

      it("bound an entry, a session and how many entries it has; what is over is refused whole", async () => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "1")] });
        const many = Array.from({ length: most }, (_, index) => entry(`more-${index}`, ""));
        const much = Array.from({ length: Math.ceil(sessionBytes / entryBytes) }, (_, n) => sized(`n${n}`, entryBytes));
        for (const entries of [[entry("a", "2"), sized("b", entryBytes + 1)], many, much]) {
          const over = { ...session(2), entries };
          await expect(store.write(over)).rejects.toMatchObject(tooLarge);
        }
        expect(await store.read("chat", "room-1")).toEqual({ fence: 1, entries: [entry("a", "1")] });
      });

      it("take what fills them exactly, and count what is replaced once", async () => {
        await store.claim(session(1));
        const parts = Math.floor(sessionBytes / entryBytes);
        const full = Array.from({ length: parts }, (_, index) => sized(`n${index}`, entryBytes));
        await store.write({ ...session(1), entries: full });
        await store.write({ ...session(1), entries: full });
        await expect(store.write({ ...session(1), entries: [entry("one", "1")] })).rejects.toMatchObject(tooLarge);
        await store.write({ ...session(1), entries: [sized("n0", entryBytes - 1), entry("one", "1")] });
        const others = Array.from({ length: most - parts - 1 }, (_, index) => entry(`more-${index}`, ""));
        await store.write({ ...session(1), entries: others });
        expect((await store.read("chat", "room-1"))?.entries).toHaveLength(most);
      });
    });

    it.each<[string, Partial<CheckpointEntry>]>([
      ["no name", { name: "" }],
      ["a name of 129 bytes", { name: "é".repeat(64) + "x" }],
      ["a control character in its name", { name: "a\u0000b" }],
      ["half a character in its name", { name: "\ud800" }],
      ["no format", { format: "" }],
      ["a line break in its format", { format: "a\nb" }],
      ["the version 0", { version: 0 }],
      ["the version 1.5", { version: 1.5 }],
      ["no number as its version", { version: Number.NaN }],
    ])("An entry with %s is refused, and the others of its write with it", async (_, differs) => {
      await store.claim(session(1));
      const entries = [entry("good", "1"), { ...entry("bad", "1"), ...differs }];
      await expect(store.write({ ...session(1), entries })).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
      expect(await stored()).toBeUndefined();
    });

    describe("sample", () => {
      it("gives entries of every format and version of the service, however rare, and at most so many", async () => {
        const common = { service: "chat", fence: 1 };
        for (let index = 0; index < 30; index += 1) {
          const key = `room-${index}`;
          await store.claim({ ...common, key });
          await store.write({ ...common, key, entries: [{ ...entry("cart", key), version: 3 }, entry("room", key)] });
        }
        const rare = [
          { ...entry("cart", "old"), version: 1 },
          { ...entry("cart", "less old"), version: 2 },
        ];
        for (const each of rare) {
          const owner = { ...common, key: `rare-${each.version}` };
          await store.claim(owner);
          await store.write({ ...owner, entries: [each] });
        }
        await store.claim({ ...common, service: "game", key: "room-1" });
        await store.write({ ...common, service: "game", key: "room-1", entries: [entry("board", "x")] });

        const sample = await store.sample("chat", 6);
        expect(sample.length).toBeGreaterThanOrEqual(4);
        expect(sample.length).toBeLessThanOrEqual(6);
        expect(new Set(sample.map(({ format, version }) => `${format} ${version}`))).toEqual(
          new Set(["cart 1", "cart 2", "cart 3", "room 1"]),
        );
        expect(sample).toEqual(expect.arrayContaining(rare));
        expect(await store.sample("chat", 1)).toHaveLength(1);
        expect(await store.sample("chat", 1000)).toHaveLength(62);
      });

      it.each([0, -1, Number.NaN])("of %s entries is empty, and so is that of a service without any", async (limit) => {
        await store.claim(session(1));
        await store.write({ ...session(1), entries: [entry("a", "1")] });
        expect(await store.sample("chat", limit)).toEqual([]);
        expect(await store.sample("game", 10)).toEqual([]);
      });
    });

    it("does what the contract says after any sequence of claims, writes and removals by two owners", async () => {
      const tiny = await open(TINY_QUOTA);
      try {
        let runs = 0;
        await assert(
          asyncProperty(checkpointSteps, async (steps) => {
            // Every run has a service of its own in the one store.
            runs += 1;
            const model = checkpointModel([tiny.store, tiny.second], `run-${runs}`);
            for (const [index, step] of steps.entries()) await model.take(step, index);
            await model.compare();
          }),
        );
      } finally {
        await tiny.close();
      }
    });
  });
}

function session(fence: number) {
  return { service: "chat", key: "room-1", fence };
}

function entry(name: string, text: string): CheckpointEntry {
  return { name, format: name, version: 1, bytes: bytesOf(text) };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(new TextEncoder().encode(text));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

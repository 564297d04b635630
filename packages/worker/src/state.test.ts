import {
  defineSessionFormat,
  HoldoverError,
  type Checkpoint,
  type CheckpointWrite,
  type SessionClaim,
  type SessionFormatDefinition,
} from "@holdover/core";
import { MemoryCheckpointStore } from "@holdover/testkit/memory-checkpoint-store";
import { describe, expect, it, vi } from "vitest";
import { memoryStateLink, type StateLink } from "./state-link.ts";
import { States } from "./states.ts";

const SESSION = { key: "room-1", fence: 3 };

/** A schema without a library. */
function fits<Value>(holds: (value: Partial<Value>) => boolean): SessionFormatDefinition<Value>["schema"] {
  const issues = [{ message: "it does not fit" }];
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => (holds(value as Partial<Value>) ? { value: value as Value } : { issues }),
    },
  };
}

interface Cart1 {
  readonly items: string[];
}
interface Cart2 {
  readonly lines: { readonly sku: string; readonly count: number }[];
}
const isCart1 = fits<Cart1>(({ items }) => items?.every((item) => typeof item === "string") === true);
const cart1 = defineSessionFormat({ name: "cart", version: 1, schema: isCart1 });
const cart2 = defineSessionFormat({
  name: "cart",
  version: 2,
  schema: fits<Cart2>(({ lines }) => lines?.every(({ count }) => count > 0) === true),
  upgrade: { 1: ({ items }: Cart1): Cart2 => ({ lines: items.map((sku) => ({ sku, count: 1 })) }) },
  downgrade: {
    2: ({ lines }: Cart2): Cart1 => {
      if (lines.some(({ count }) => count > 9)) throw new Error("more than version 1 can say");
      return { items: lines.flatMap(({ sku, count }) => Array.from({ length: count }, () => sku)) };
    },
  },
});
const turn = defineSessionFormat({
  name: "turn",
  version: 1,
  schema: fits<number>((value) => typeof value === "number"),
});

/** The store behind a link, with what came through it, and with versions that still run. */
function world() {
  const store = new MemoryCheckpointStore();
  const opens: SessionClaim[] = [];
  const writes: CheckpointWrite[] = [];
  const warned: string[] = [];
  const older = new Map<string, number[]>();
  const link: StateLink = {
    open: async (session): Promise<Checkpoint | undefined> => {
      opens.push(session);
      await store.claim(session);
      return store.read(session.service, session.key);
    },
    write: async (write) => {
      writes.push(write);
      await store.write(write);
    },
    olderVersions: (format) => older.get(format) ?? [],
  };
  const process = () => new States({ service: "chat", link, warn: (problem) => warned.push(problem) });
  const stored = async () => {
    const checkpoint = await store.read("chat", SESSION.key);
    const shown = checkpoint?.entries.map(({ name, bytes }) => [name, new TextDecoder().decode(bytes)] as const);
    return Object.fromEntries(shown ?? []);
  };
  return { store, opens, writes, warned, older, link, process, stored };
}

const one = (sku: string, count = 1) => ({ lines: [{ sku, count }] });

describe("The state of a session", () => {
  it("is claimed once, before the first read or write, also when both come at once", async () => {
    const { opens, process } = world();
    const state = process().of(SESSION);
    expect(opens).toEqual([]);
    const [before] = await Promise.all([state.read(turn), state.write(turn, 7), state.write(cart1, { items: [] })]);
    expect(before).toBeUndefined();
    expect(opens).toEqual([{ service: "chat", ...SESSION }]);
    await state.write(turn, 8);
    expect(opens).toHaveLength(1);
  });

  it("has the value of the call, whatever becomes of it afterwards, and reads what was written before", async () => {
    const { process, stored } = world();
    const state = process().of(SESSION);
    const cart = { items: ["book"] };
    const written = state.write(cart1, cart);
    cart.items.push("pen");
    expect(await state.read(cart1)).toEqual({ items: ["book"] });
    await written;
    expect(await stored()).toEqual({ cart: '{"items":["book"]}' });
  });

  it("goes to the store once for all of one turn, in the order of the calls, also before it is claimed", async () => {
    const { writes, process, stored } = world();
    const state = process().of(SESSION);
    await Promise.all([
      state.write(turn, 1),
      state.write(turn, 2),
      state.write([
        [turn, 3],
        [cart1, { items: ["a"] }],
      ]),
    ]);
    expect(writes).toHaveLength(1);
    expect(await stored()).toEqual({ turn: "3", cart: '{"items":["a"]}' });
    // One that comes while others still wait for the claim is behind them.
    const again = process().of({ ...SESSION, fence: 4 });
    const first = [again.write(turn, 4), again.write(turn, 5)];
    await Promise.resolve().then(() => first.push(again.write(turn, 6)));
    await Promise.all(first);
    expect(await again.read(turn)).toBe(6);
  });

  it("is read as it was last written, also after a read that came between two writes", async () => {
    const { link, store } = world();
    const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const gates = [...held];
    const slow: StateLink = {
      ...link,
      write: async (write) => {
        await gates.shift()?.promise;
        await store.write(write);
      },
    };
    const state = new States({ service: "chat", link: slow }).of(SESSION);
    const first = state.write(turn, 1);
    await vi.waitFor(() => expect(gates).toHaveLength(1));
    const between = state.read(turn);
    const second = state.write(turn, 2);
    held[0]?.resolve();
    await first;
    expect(await between).toBe(1);
    held[1]?.resolve();
    await second;
    expect(await state.read(turn)).toBe(2);
  });

  it("keeps several values of a format under names of their own, and refuses names that are for older releases", async () => {
    const { process } = world();
    const state = process().of(SESSION);
    await state.write([
      [cart1, { items: ["a"] }, { name: "ann" }],
      [cart1, { items: ["b"] }, { name: "bob" }],
    ]);
    expect(await state.read(cart1, { name: "bob" })).toEqual({ items: ["b"] });
    expect(await state.read(cart1)).toBeUndefined();
    for (const name of ["ann#1", "#", "", "x".repeat(112)]) {
      await expect(state.write(cart1, { items: [] }, { name })).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
      await expect(state.read(cart1, { name })).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
    await state.write(cart1, { items: [] }, { name: "x".repeat(111) });
    await expect(state.read(turn, { name: "ann" })).rejects.toMatchObject({ code: "FORMAT_UNKNOWN" });
  });

  it("writes nothing of several values of which one cannot be", async () => {
    const { writes, process } = world();
    const state = process().of(SESSION);
    const both = state.write([
      [turn, 1],
      [cart1, { items: [1] } as never],
    ]);
    await expect(both).rejects.toMatchObject({ code: "FORMAT_FAILED" });
    await state.write([]);
    expect(writes).toEqual([]);
  });

  it("is claimed again with the next call when the claim failed", async () => {
    const { store, process, opens } = world();
    const state = process().of(SESSION);
    const down = new HoldoverError("LINK_DOWN");
    store.before = async () => Promise.reject(down);
    await expect(state.write(turn, 1)).rejects.toBe(down);
    await expect(state.read(turn)).rejects.toBe(down);
    store.before = async () => {};
    await state.write(turn, 2);
    expect(await state.read(turn)).toBe(2);
    expect(state.lost.aborted).toBe(false);
    expect(opens.length).toBeGreaterThan(2);
  });

  it("is one for each session and fence; a higher fence, and the session's leaving, end it", async () => {
    const { process } = world();
    const states = process();
    const first = states.of(SESSION);
    expect(states.of({ ...SESSION })).toBe(first);
    const second = states.of({ ...SESSION, fence: 4 });
    expect(first.lost.reason).toMatchObject({ code: "CHECKPOINT_STALE", details: { fence: 3 } });
    await expect(first.read(turn)).rejects.toBe(first.lost.reason);
    await expect(states.of(SESSION).write(turn, 1)).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
    expect(states.of({ ...SESSION, fence: 4 })).toBe(second);
    states.leave(SESSION);
    expect(second.lost.aborted).toBe(false);
    states.leave({ ...SESSION, fence: 4 });
    await expect(second.write(turn, 1)).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
    expect(states.of({ ...SESSION, fence: 4 })).not.toBe(second);
  });
});

describe("The state of a session beside an older release", () => {
  it("is written for it too, in the same store write, and read by it after a rollback and by the newer one again", async () => {
    const { older, process, writes, stored } = world();
    await process()
      .of(SESSION)
      .write(cart1, { items: ["a"] });
    older.set("cart", [1]);
    const v2 = process().of({ ...SESSION, fence: 4 });
    expect(await v2.read(cart2)).toEqual(one("a"));
    await v2.write(cart2, one("b", 2));
    expect(writes.at(-1)?.entries.map(({ name, version }) => [name, version])).toEqual([
      ["cart", 2],
      ["cart#1", 1],
    ]);
    older.clear();
    const back = process().of({ ...SESSION, fence: 5 });
    expect(await back.read(cart1)).toEqual({ items: ["b", "b"] });
    await back.write(cart1, { items: ["c"] });
    // Nothing is left that an older release could take for new.
    expect(await stored()).toEqual({ cart: '{"items":["c"]}', "cart#1": "" });
    older.set("cart", [1]);
    const again = process().of({ ...SESSION, fence: 6 });
    expect(await again.read(cart2)).toEqual(one("c"));
    await again.write(cart2, one("d"));
    expect(
      await process()
        .of({ ...SESSION, fence: 7 })
        .read(cart1),
    ).toEqual({ items: ["d"] });
  });

  it("keeps no copy that is stale: one that is there is made again, or emptied where it cannot be", async () => {
    const { older, process, warned, stored } = world();
    older.set("cart", [1]);
    const state = process().of(SESSION);
    await state.write(cart2, one("a"));
    older.clear();
    await state.write(cart2, one("b"));
    expect((await stored())["cart#1"]).toBe('{"items":["b"]}');
    await state.write(cart2, one("c", 10));
    await state.write(cart2, one("d", 11));
    expect((await stored())["cart#1"]).toBe("");
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain("session format cart in version 1");
    expect(warned[0]).toContain("the downgrade from 2 to 1 threw (Error)");
    const back = process().of({ ...SESSION, fence: 4 });
    await expect(back.read(cart1)).rejects.toMatchObject({ code: "FORMAT_UNKNOWN", details: { version: 2 } });
    // Another one that could not know of the copy from itself finds it, and does not leave it behind.
    const third = process().of({ ...SESSION, fence: 5 });
    await third.write(cart2, one("e"));
    expect((await stored())["cart#1"]).toBe('{"items":["e"]}');
  });

  it("has no copy of a copy's name alone: of what runs no more and was never written, nothing is kept", async () => {
    const { older, process, warned, stored } = world();
    older.set("cart", [1]);
    const noWay = defineSessionFormat({
      name: "cart",
      version: 2,
      schema: fits<unknown>(() => true),
      upgrade: { 1: (cart) => cart },
    });
    const state = process().of(SESSION);
    await state.write(noWay, { any: 1 });
    await state.write(noWay, { any: 2 });
    expect(await stored()).toEqual({ cart: '{"any":2}' });
    expect(warned).toHaveLength(1);
  });

  it("goes without the copies where the session's quota has no room for them", async () => {
    const { older, process, warned, stored } = world();
    older.set("cart", [1]);
    const items = ["x".repeat(200 * 1024)];
    const wide = defineSessionFormat({
      name: "cart",
      version: 2,
      schema: isCart1,
      downgrade: { 2: (cart) => cart },
    });
    const state = process().of(SESSION);
    await state.write(wide, { items });
    expect(Object.keys(await stored())).toEqual(["cart", "cart#1"]);
    for (const name of ["b", "c", "d"]) await state.write(wide, { items }, { name });
    const bytes = Object.entries(await stored()).map(([name, text]) => [name, text.length > 0]);
    // Those of the fourth value first, and where that is not enough those of the others.
    expect(Object.fromEntries(bytes)).toEqual({ cart: true, "cart#1": false, b: true, "b#1": false, c: true, d: true });
    const back = process().of({ ...SESSION, fence: 4 });
    await expect(back.read(cart1, { name: "b" })).rejects.toMatchObject({ code: "FORMAT_UNKNOWN" });
    expect(warned.join()).toContain("no room for it within its quota");
  });
});

describe("Ephemeral values", () => {
  it("are loaded once for all who ask, and again after a load that failed; what the loads took is counted", async () => {
    let nowMs = 0;
    const states = new States({ service: "chat", link: memoryStateLink(), now: () => nowMs });
    const state = states.of(SESSION);
    const loaded = Promise.withResolvers<string>();
    const asked = [state.ephemeral("index", () => loaded.promise), state.ephemeral("index", () => "never")];
    nowMs = 40;
    loaded.resolve("index of room-1");
    expect(await Promise.all(asked)).toEqual(["index of room-1", "index of room-1"]);
    const broken = (): string => {
      nowMs += 10;
      throw new Error("no database");
    };
    await expect(state.ephemeral("profile", broken)).rejects.toThrow("no database");
    expect(await state.ephemeral("profile", () => "Ann")).toBe("Ann");
    await states.of({ key: "room-2", fence: 4 }).ephemeral("index", () => "another one");
    expect(state.stats()).toEqual({ hits: 1, loads: 3, failures: 1, loadMs: 50, longestLoadMs: 40 });
    expect(states.stats()).toMatchObject({ hits: 1, loads: 4 });
  });

  it("are at most a hundred: the one that was not asked for the longest goes", async () => {
    const state = new States({ service: "chat", link: memoryStateLink() }).of(SESSION);
    for (let index = 0; index < 100; index += 1) await state.ephemeral(`value ${index}`, () => index);
    await state.ephemeral("value 0", () => "again");
    await state.ephemeral("one more", () => 100);
    expect(await state.ephemeral("value 0", () => "again")).toBe(0);
    expect(await state.ephemeral("value 1", () => "again")).toBe("again");
  });

  it("end with the session: a load that is under way hears of it, and nothing is loaded any more", async () => {
    const states = new States({ service: "chat", link: memoryStateLink() });
    const state = states.of(SESSION);
    const heard = state.ephemeral("index", async (signal) => {
      const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      states.leave(SESSION);
      await aborted;
      return "stopped";
    });
    expect(await heard).toBe("stopped");
    await expect(state.ephemeral("index", () => "late")).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
  });
});

describe("Without Holdover", () => {
  it("values live in the process, under the same checks, fences and quota", async () => {
    const link = memoryStateLink();
    const state = new States({ service: "chat", link }).of(SESSION);
    expect(await state.read(cart2)).toBeUndefined();
    await state.write(cart1, { items: ["a"] });
    expect(await state.read(cart2)).toEqual(one("a"));
    await expect(state.write(cart1, { items: ["x".repeat(300 * 1024)] })).rejects.toMatchObject({
      code: "CHECKPOINT_TOO_LARGE",
    });
    const next = new States({ service: "chat", link }).of({ ...SESSION, fence: 4 });
    expect(await next.read(cart1)).toEqual({ items: ["a"] });
    await expect(state.write(turn, 1)).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
    expect(state.lost.aborted).toBe(true);
  });
});

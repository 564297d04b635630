import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndedSession, EndReason, Pin } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, type Database } from "./database.ts";
import { HOST_FILE, hostStoreOn, type HostStore } from "./host-store.ts";

let dir: string;
let file: string;
let database: Database;
let store: HostStore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "holdover-ends-"));
  file = join(dir, "host.db");
  open();
});
afterEach(() => {
  store.close();
  rmSync(dir, { recursive: true });
});

function open(): void {
  database = openDatabase(file, HOST_FILE);
  store = hostStoreOn(database, 1000);
}

function reopen(): void {
  store.close();
  open();
}

const place = (key: string): Promise<Pin> =>
  store.pins.place(
    { service: "rooms", key, release: "v1", instance: "v1-1", openedAtMs: 1000, label: null },
    null,
    1000,
  );

/** A session with a pin, and with something that it keeps. */
async function begin(key: string): Promise<Pin> {
  const pin = await place(key);
  await store.checkpoints.claim(pin);
  await keep(pin, "kept");
  return pin;
}

const keep = (pin: Pin, text: string): Promise<void> => {
  const entry = { name: "n", format: "f", version: 1, bytes: Buffer.from(text) };
  return store.checkpoints.write({ ...pin, entries: [entry] });
};

async function kept(key: string): Promise<string | null> {
  const found = await store.checkpoints.read("rooms", key);
  return found ? Buffer.from(found.entries[0]?.bytes ?? []).toString() : null;
}

const ended = (pin: Pin, reason: EndReason): EndedSession => ({
  ...pin,
  reason,
  endedAtMs: 2000,
  connectionsClosed: 0,
});
const end = (pin: Pin, reason: EndReason, atMs = 2000): Promise<unknown> => store.pins.end([ended(pin, reason)], atMs);

const keys = async (): Promise<string[]> => (await store.pins.pins()).map(({ key }) => key);

describe("the end of a session", () => {
  it.each<EndReason>(["hangup", "expired", "cut", "lost"])("takes what it keeps with its pin: %s", async (reason) => {
    const pin = await begin("a");
    await begin("b");
    await end(pin, reason);
    expect([await keys(), await kept("a"), await kept("b")]).toEqual([["b"], null, "kept"]);
    await expect(keep(pin, "too late")).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
    expect((await store.checkpoints.sample("rooms", 10)).length).toBe(1);
  });

  it.each([
    ["the checkpoint cannot be removed", "BEFORE DELETE ON checkpoint_entries"],
    ["the session of the checkpoint cannot be removed", "BEFORE DELETE ON checkpoints"],
    ["the event cannot be written", "BEFORE INSERT ON events"],
  ])("is whole or not at all: %s", async (_, when) => {
    const pin = await begin("a");
    const other = await begin("b");
    database.sql.exec(`CREATE TEMP TRIGGER fails ${when} BEGIN SELECT RAISE(ABORT, 'it fails'); END`);
    await expect(store.pins.end([ended(other, "cut"), ended(pin, "cut")], 2000)).rejects.toMatchObject({
      code: "STORE_FAILED",
    });
    expect([await keys(), await kept("a"), await kept("b")]).toEqual([["a", "b"], "kept", "kept"]);
    reopen();
    expect([await keys(), await kept("a"), await kept("b")]).toEqual([["a", "b"], "kept", "kept"]);
    expect(await store.pins.events(10)).toEqual([]);
    await end(pin, "cut");
    expect([await keys(), await kept("a")]).toEqual([["b"], null]);
  });

  it("under an older fence than its pin has takes nothing", async () => {
    const pin = await begin("a");
    const next = await store.pins.place({ ...pin, instance: "v1-2" }, pin.fence, 1500);
    await store.checkpoints.claim(next);
    await end(pin, "cut");
    expect([await keys(), await kept("a")]).toEqual([["a"], "kept"]);
    await keep(next, "of the next one");
    expect(await kept("a")).toBe("of the next one");
  });

  it("takes nothing from a session that keeps nothing", async () => {
    await end(await place("a"), "hangup");
    expect(await keys()).toEqual([]);
  });
});

describe("a session that is moved", () => {
  it("leaves what it keeps to its next owner, over a restart too", async () => {
    const pin = await begin("a");
    await end(pin, "moved");
    reopen();
    const next = await place("a");
    expect(next.fence).toBeGreaterThan(pin.fence);
    await store.checkpoints.claim(next);
    expect(await kept("a")).toBe("kept");
    expect(store.forgetMoved(Infinity)).toBe(0);
    await end(next, "hangup");
    expect(await kept("a")).toBeNull();
  });

  it("whose next owner keeps nothing leaves nothing behind when that one ends", async () => {
    await end(await begin("a"), "moved");
    await end(await place("a"), "hangup");
    expect(await kept("a")).toBeNull();
  });

  it("is forgotten a while after nobody came back, and not before", async () => {
    await end(await begin("early"), "moved", 2000);
    await end(await begin("late"), "moved", 3000);
    await begin("lives");
    expect(store.forgetMoved(2000)).toBe(0);
    expect(store.forgetMoved(2001)).toBe(1);
    expect([await kept("early"), await kept("late"), await kept("lives")]).toEqual([null, "kept", "kept"]);
    expect(store.forgetMoved(Infinity)).toBe(1);
    expect([await kept("late"), await kept("lives")]).toEqual([null, "kept"]);
  });

  it("is forgotten all the same when its last owner wrote once more", async () => {
    const claimed = await place("claimed");
    await store.checkpoints.claim(claimed);
    await end(claimed, "moved");
    await keep(claimed, "the very last");
    expect(await kept("claimed")).toBe("the very last");
    const fresh = await place("fresh");
    await end(fresh, "moved");
    // It keeps something for the first time, now that it has to go.
    await store.checkpoints.claim(fresh);
    await keep(fresh, "as it left");
    expect(await kept("fresh")).toBe("as it left");
    const first = await begin("anew");
    const anew = await store.pins.place({ ...first, instance: "v1-2" }, first.fence, 1500);
    await store.checkpoints.claim(anew);
    await end(anew, "moved");
    await keep(anew, "its first under this fence");
    expect(await kept("anew")).toBe("its first under this fence");
    expect(store.forgetMoved(Infinity)).toBe(3);
    expect([await kept("claimed"), await kept("fresh"), await kept("anew")]).toEqual([null, null, null]);
  });

  it("is one of many: they are forgotten some at a time", async () => {
    const pins = await Promise.all(Array.from({ length: 450 }, (_, n) => begin(`k${n}`)));
    await store.pins.end(
      pins.map((pin) => ended(pin, "moved")),
      2000,
    );
    expect([1, 2, 3, 4].map(() => store.forgetMoved(3000))).toEqual([200, 200, 50, 0]);
    expect(await store.checkpoints.sample("rooms", 10)).toEqual([]);
  });
});

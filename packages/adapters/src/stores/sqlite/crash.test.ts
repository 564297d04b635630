import { randomInt } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openControlStore } from "./control-store.ts";
import { openHostStore } from "./host-store.ts";
import { scratchDir } from "./scratch-store.ts";
import { startChild } from "./store-child.ts";

/** Each round is another process that is killed on the same file. */
const ROUNDS = 4;

let dir: string;
let file: string;
beforeEach(() => {
  dir = scratchDir();
  file = join(dir, "store.db");
});
afterEach(() => rmSync(dir, { recursive: true }));

it("A host killed at any moment loses no pin and no end that it had answered, and no fence is given twice", async () => {
  const fences: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = startChild(
      "openHostStore",
      file,
      `for (let n = 0; ; n += 1) {
        const key = "${round}-" + n;
        const pin = await place(key);
        say("placed " + key + " " + pin.fence);
        if (n % 3 > 0) continue;
        say("ending " + key);
        await store.pins.end([{ ...pin, reason: "hangup", endedAtMs: n, connectionsClosed: 0 }], n);
        say("ended " + key);
      }`,
    );
    await child.lineCount(randomInt(1, 3000));
    await child.kill();

    const said = child.lines.map((line) => line.split(" "));
    const keysOf = (what: string): string[] => said.filter(([word]) => word === what).map(([, key = ""]) => key);
    const placed = said
      .filter(([word]) => word === "placed")
      .map(([, key = "", fence]) => ({ key, fence: Number(fence) }));
    fences.push(...placed.map(({ fence }) => fence));

    const host = openHostStore(file);
    const pins = await host.pins.pins();
    const events = await host.pins.events(1_000_000);
    host.close();
    const stored = new Map(pins.map((pin) => [pin.key, pin.fence]));
    const ends = new Set(events.map((event) => (event.kind === "ended" ? event.session.key : "")));
    const ending = new Set(keysOf("ending"));
    expect(placed.length).toBeGreaterThan(0);
    expect(placed.filter(({ key, fence }) => !ending.has(key) && stored.get(key) !== fence)).toEqual([]);
    expect(keysOf("ended").filter((key) => stored.has(key) || !ends.has(key))).toEqual([]);
    // An end that was not answered happened with its event or not at all.
    expect([...ending].filter((key) => stored.has(key) === ends.has(key))).toEqual([]);
    expect(new Set(stored.values()).size).toBe(stored.size);
  }
  expect(fences).toEqual([...new Set(fences)].toSorted((a, b) => a - b));
});

it("A control killed at any moment has a chain that verifies, and no change without its entry or entry without its change", async () => {
  let answered = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = startChild(
      "openControlStore",
      file,
      `const entry = (kind, number) => [{ atMs: 1, kind, actor: "control", reason: "a test", detail: { number } }];
      const pin = { service: "chat", key: "a", release: "v1", instance: "chat-v1-1", fence: 1, openedAtMs: 1, label: null };
      const session = { ...pin, reason: "cut", endedAtMs: 2, connectionsClosed: 1 };
      const { releases, history } = store;
      for (let n = (await releases.tableNumber()) + 1; ; n += 1) {
        await releases.saveTableNumber(n, entry("table", n));
        await releases.saveInstances([{ id: String(n) }], entry("instances", n));
        await releases.saveServices([{ name: String(n) }], entry("services", n));
        await history.record("host-a", [{ seq: n, atMs: 1, kind: "ended", session }], () => entry("ended", n));
        say(String(n));
      }`,
    );
    await child.lineCount(randomInt(1, 150));
    await child.kill();
    answered = Number(child.lines.at(-1));

    const control = openControlStore(file);
    const head = await control.audit.verify();
    const entries = await control.audit.read(0, head.seq);
    const last = (kind: string): number =>
      Number(entries.findLast((entry) => entry.kind === kind)?.detail?.["number"] ?? 0);
    expect(await control.releases.tableNumber()).toBe(last("table"));
    expect((await control.releases.instances())[0]?.id).toBe(String(last("instances")));
    expect((await control.releases.services())[0]?.name).toBe(String(last("services")));
    const ends = entries.filter((entry) => entry.kind === "ended");
    expect(await control.history.record("host-a", [], () => [])).toBe(last("ended"));
    expect((await control.history.totals())[0]?.ended.cut).toBe(ends.length);
    expect(await control.history.ended({}, 1_000_000)).toHaveLength(ends.length);
    expect(last("ended")).toBeGreaterThanOrEqual(answered);
    control.close();
  }
  expect(answered).toBeGreaterThan(0);
});

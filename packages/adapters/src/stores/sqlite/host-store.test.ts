import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Pin } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase } from "./database.ts";
import { HOST_FILE, hostStoreOn, openHostStore, type HostStore } from "./host-store.ts";
import { scratchDir, scratchStore, type ScratchStore } from "./scratch-store.ts";

it("A file of the first format is taken over: its pins and events are there, without a label", async () => {
  const { format } = HOST_FILE;
  const dir = scratchDir();
  const file = join(dir, "host.db");
  const old = openDatabase(file, { ...HOST_FILE, format: { ...format, steps: format.steps.slice(0, 1) } });
  old.sql.exec(`
    INSERT INTO host (one, identity) VALUES (1, 'the-host');
    INSERT INTO pins VALUES ('chat', 'a', 'v1', 'chat-v1-1', 7, 5);
    INSERT INTO events VALUES (3, 9, 'ended', 'chat', 'b', 'v1', 'chat-v1-1', 6, 4, 'hangup', 8, 1, NULL);
    UPDATE host SET fences_reserved = 1000;
  `);
  old.close();
  const host = openHostStore(file);
  const of = { service: "chat", release: "v1", instance: "chat-v1-1", label: null };
  const pin = { ...of, key: "a", fence: 7, openedAtMs: 5 };
  const session = { ...of, key: "b", fence: 6, openedAtMs: 4, reason: "hangup", endedAtMs: 8, connectionsClosed: 1 };
  expect(host.identity).toBe("the-host");
  expect(await host.pins.pins()).toEqual([pin]);
  expect(await host.pins.events(10)).toEqual([{ seq: 3, atMs: 9, kind: "ended", session }]);
  expect(await host.pins.place({ ...pin, label: "support" }, null, 10)).toEqual(pin);
  const anew = await host.pins.place({ ...pin, label: "support" }, 7, 10);
  expect(anew).toEqual({ ...pin, fence: 1001, label: "support" });
  host.close();
  rmSync(dir, { recursive: true });
});

describe("The host store", () => {
  let opened: ScratchStore<HostStore>;
  let host: HostStore;
  beforeEach(() => {
    opened = scratchStore(HOST_FILE, (database) => hostStoreOn(database, 3));
    host = opened.store;
  });
  afterEach(() => opened.close());

  async function disrupt(...atMs: number[]): Promise<void> {
    const place = { release: "v1", instance: "chat-v1-1", fence: 1 };
    const pin: Pin = { service: "chat", key: "a", ...place, openedAtMs: 1, label: null };
    for (const time of atMs) await host.pins.disrupted([{ pin, connections: 1 }], time);
  }
  const times = async (): Promise<number[]> => (await host.pins.events(10)).map((event) => event.atMs);

  it("has one identity for the life of its file, and no two files have the same", async () => {
    expect(host.identity).toMatch(/^[0-9a-f-]{36}$/);
    expect(opened.reopen().identity).toBe(host.identity);
    const other = scratchStore(HOST_FILE, (database) => hostStoreOn(database, 3));
    expect(other.store.identity).not.toBe(host.identity);
    await other.close();
  });

  it("tells how many events wait, over a start too", async () => {
    expect(host.waitingEvents()).toBe(0);
    await disrupt(1, 2, 3);
    expect(host.waitingEvents()).toBe(3);
    await host.pins.forgetEvents(1);
    host = opened.reopen();
    expect(host.waitingEvents()).toBe(2);
    await disrupt(4, 5);
    expect(host.waitingEvents()).toBe((await host.pins.events(10)).length);
    await host.pins.forgetEvents(5);
    expect(host.waitingEvents()).toBe(0);
  });

  it("drops the oldest events above its limit and counts them, over a start too", async () => {
    await disrupt(1, 2, 3);
    expect(host.droppedEvents()).toBe(0);
    await disrupt(4, 5);
    expect(await times()).toEqual([3, 4, 5]);
    expect(host.droppedEvents()).toBe(2);
    host = opened.reopen();
    await disrupt(6);
    expect(await times()).toEqual([4, 5, 6]);
    expect(host.droppedEvents()).toBe(3);
  });

  it("drops no event for those that control has taken", async () => {
    await disrupt(1, 2, 3);
    const [, second] = await host.pins.events(10);
    await host.pins.forgetEvents(second?.seq ?? 0);
    await disrupt(4, 5);
    expect(await times()).toEqual([3, 4, 5]);
    expect(host.droppedEvents()).toBe(0);
  });

  it("reads back more pins than it reads at a time, each once", async () => {
    opened.database().sql.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
       INSERT INTO pins (service, key, release, instance, fence, opened_at_ms) SELECT 'service-' || (i % 7), 'room-' || i, 'v1', 'chat-v1-1', i, i FROM n`,
    );
    const fences = (await host.pins.pins()).map((pin) => pin.fence);
    expect(fences).toHaveLength(12_000);
    expect(new Set(fences).size).toBe(12_000);
  });

  it("gives fences above all that it gave before, beyond those it reserves at a time", async () => {
    const fences: number[] = [];
    for (let index = 0; index < 2500; index += 1) {
      const place = { release: "v1", instance: "chat-v1-1" };
      const candidate = { service: "chat", key: `${index}`, ...place, openedAtMs: 1, label: null };
      fences.push((await host.pins.place(candidate, null, 1)).fence);
      if (index % 900 === 0) host = opened.reopen();
    }
    expect(fences).toEqual([...new Set(fences)].toSorted((a, b) => a - b));
  });
});

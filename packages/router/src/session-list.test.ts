import { SessionRegistry, type Pin, type SessionQuery } from "@holdover/core";
import { settled } from "@holdover/testkit/manual-clock";
import { expect, test, vi } from "vitest";
import { SessionsWorld } from "../test/sessions-fixture.ts";
import { listSessions } from "./session-list.ts";

const place = (release: string, fence: number) => ({ release, instance: `rooms-${release}-1`, fence });

function pin(key: string, openedAtMs: number, release = "v1"): Pin {
  return { service: "rooms", key, ...place(release, openedAtMs), openedAtMs, label: null };
}

/** Opens are told apart from lingering ones by their key: capitals are open. */
function registryOf(pins: readonly Pin[]): SessionRegistry {
  const registry = new SessionRegistry();
  for (const one of pins) {
    const session = registry.add(one, 0, 1000);
    if (one.key.startsWith("O")) registry.attach(session, 1000, 0);
  }
  return registry;
}

/** Turns that others get, each told of. */
function turns(taken: () => void = () => {}) {
  return {
    now: () => 0,
    after: (_: number, run: () => void) => {
      setImmediate(() => {
        taken();
        run();
      });
      return () => {};
    },
  };
}

const ask = (registry: SessionRegistry, query: SessionQuery, clock = turns()) =>
  listSessions(registry, query, clock, () => null);
const keysOf = async (registry: SessionRegistry, query: SessionQuery) => {
  const { sessions, matches } = await ask(registry, query);
  return [sessions.map(({ key }) => key), matches];
};

test("sessions are found by a part of their key in capitals or not, their state, release and service", async () => {
  const registry = registryOf([pin("O-Ana", 1), pin("banana", 3, "v2"), pin("O-bob", 2), pin("ÉTÉ", 4)]);
  registry.add({ ...pin("ana", 9), service: "chat" }, 0, 1000);
  expect(await keysOf(registry, { limit: 10 })).toEqual([["O-Ana", "O-bob", "banana", "ÉTÉ", "ana"], 5]);
  expect(await keysOf(registry, { search: "ANA", limit: 10 })).toEqual([["O-Ana", "banana", "ana"], 3]);
  expect(await keysOf(registry, { service: "rooms", search: "ana", limit: 1 })).toEqual([["O-Ana"], 2]);
  expect(await keysOf(registry, { search: "été", limit: 10 })).toEqual([["ÉTÉ"], 1]);
  expect(await keysOf(registry, { search: ".", limit: 10 })).toEqual([[], 0]);
  expect(await keysOf(registry, { state: "open", limit: 10 })).toEqual([["O-Ana", "O-bob"], 2]);
  expect(await keysOf(registry, { state: "lingering", release: "v2", limit: 10 })).toEqual([["banana"], 1]);
  expect(await keysOf(registry, { key: "banana", search: "x", limit: 10 })).toEqual([[], 0]);
  expect(await keysOf(registry, { key: "ana", limit: 10 })).toEqual([["ana"], 1]);
});

test("the first of many are listed in the order that is asked for, and all are counted", async () => {
  const times = Array.from({ length: 5000 }, (_, index) => (index * 2741) % 5000);
  const registry = registryOf(times.map((openedAtMs) => pin(`s${openedAtMs}`, openedAtMs)));
  for (const limit of [1, 7, 2500, 5000]) {
    const oldest = Array.from({ length: limit }, (_, index) => `s${index}`);
    const newest = Array.from({ length: limit }, (_, index) => `s${4999 - index}`);
    expect(await keysOf(registry, { order: "oldest", limit })).toEqual([oldest, 5000]);
    expect(await keysOf(registry, { order: "newest", limit })).toEqual([newest, 5000]);
  }
});

test("others get their turn every 10,000 sessions, and what ends or changes meanwhile is not listed as it was", async () => {
  const registry = registryOf(Array.from({ length: 35_000 }, (_, index) => pin(`s${index}`, index)));
  let taken = 0;
  const clock = turns(() => {
    taken += 1;
    const [first, second] = [registry.find("rooms", "s0"), registry.find("rooms", "s1")];
    if (taken !== 2 || !first || !second) return;
    registry.end(first, "expired", 0);
    registry.attach(second, 1000, 0);
  });
  const { sessions, matches } = await ask(registry, { state: "lingering", limit: 3 }, clock);
  expect(taken).toBe(3);
  expect(sessions.map(({ key }) => key)).toEqual(["s2"]);
  expect(matches).toBe(35_000);
});

test("of many searches one has its turn between others' turns; a session that is named by its key waits for none", async () => {
  const world = new SessionsWorld();
  for (let index = 0; index < 25_000; index++) {
    await world.store.place({ ...pin(`s${index}`, index), instance: "v1-1" }, null, 0);
  }
  const sessions = await world.open();
  const paused: (() => void)[] = [];
  vi.spyOn(world.clock, "after").mockImplementation((_, run) => {
    paused.push(run);
    return () => {};
  });
  const searches = ["1", "2", "x"].map((search) => sessions.list({ search, limit: 1 }));
  // Each search looks at 25,000 sessions, and pauses twice.
  for (let pause = 0; pause < 6; pause++) {
    await settled();
    expect(paused).toHaveLength(1);
    expect(await sessions.list({ key: "s7", limit: 1 })).toMatchObject({ matches: 1, sessions: [{ key: "s7" }] });
    paused.pop()?.();
  }
  expect((await Promise.all(searches)).map(({ sessions: [first] }) => first?.key)).toEqual(["s1", "s2", undefined]);
  sessions.close();
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compare, newRegistryWorld, registryStep, takeStep } from "../test/registry-model.ts";
import { SessionRegistry } from "./session-registry.ts";
import { lingering, open, type Pin } from "./session.ts";

const pinOf = (key: string, given: Partial<Pin> = {}): Pin => ({
  service: "rooms",
  key,
  release: "v1",
  instance: "rooms-v1-1",
  fence: 1,
  openedAtMs: 100,
  label: null,
  ...given,
});

test("after any sequence of changes the counts equal a recount, and those that lingered out come longest first", () => {
  let held = 0;
  fc.assert(
    fc.property(fc.array(registryStep, { maxLength: 60, size: "max" }), (steps) => {
      const world = newRegistryWorld();
      for (const step of steps) {
        takeStep(world, step);
        compare(world);
        held += world.registry.size;
      }
    }),
    { numRuns: 150 },
  );
  // Without it the test could pass by holding nothing.
  expect(held).toBeGreaterThan(500);
});

/** "done", or the words of what was thrown. */
function attempt(call: () => void): string {
  try {
    call();
    return "done";
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

describe("rule 4: a fence never goes back, and a write under an old one changes nothing", () => {
  test("the fence of a session only grows, however often its instance dies and it is placed anew", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 30, size: "max" }), (changes) => {
        const registry = new SessionRegistry();
        const session = registry.add(pinOf("a", { fence: 10 }), 0, 50);
        let highest = 10;
        for (const change of changes) {
          registry.loseInstance("rooms-v1-1", 1);
          const fence = highest + change;
          const pin = pinOf("a", { fence });
          const placed = attempt(() => registry.placeAnew(session, pin));
          expect(placed).toBe(change > 0 ? "done" : `fence ${fence} is not above ${highest}`);
          highest = Math.max(highest, fence);
          expect(session.place?.fence ?? null).toBe(change > 0 ? fence : null);
          expect(session.lastPlace.fence).toBe(highest);
        }
      }),
    );
  });

  test("a connection of an old place that ends takes nothing off the new one", () => {
    const registry = new SessionRegistry();
    const session = registry.add(pinOf("a", { fence: 1 }), 0, 50);
    const old = registry.attach(session, 50, 0);
    registry.loseInstance("rooms-v1-1", 5);
    registry.placeAnew(session, pinOf("a", { fence: 2, instance: "rooms-v1-2" }));
    registry.attach(session, 50, 0);
    registry.detach(session, old, 50, 9);
    expect(session.state).toEqual(open());
    expect(session.connections).toBe(1);
    expect(registry.countsOf("rooms-v1-2")).toEqual({ open: 1, lingering: 0, connections: 1 });
  });

  test("a connection of a session that has ended takes nothing off a later session with the same key", () => {
    const registry = new SessionRegistry();
    const first = registry.add(pinOf("a", { fence: 1 }), 0, 50);
    const old = registry.attach(first, 50, 0);
    registry.end(first, "moved", 5);
    const second = registry.add(pinOf("a", { fence: 2 }), 6, 50);
    registry.attach(second, 50, 0);
    registry.detach(first, old, 50, 9);
    expect(registry.find("rooms", "a")).toBe(second);
    expect(registry.countsOf("rooms-v1-1")).toEqual({ open: 1, lingering: 0, connections: 1 });
  });
});

describe("a session whose instance died", () => {
  test("lingers from then on, or from when its last connection ended: nobody lasts longer for a crash", () => {
    const registry = new SessionRegistry();
    const quiet = registry.add(pinOf("quiet"), 0, 50);
    const busy = registry.add(pinOf("busy"), 0, 50);
    registry.attach(busy, 50, 0);
    registry.loseInstance("rooms-v1-1", 40);
    expect([quiet.state, busy.state]).toEqual([lingering(0), lingering(40)]);
    expect([...registry.lingeredOut("rooms", 50)]).toEqual([quiet]);
    expect([...registry.lingeredOut("rooms", 90)]).toEqual([quiet, busy]);
  });

  test("keeps when it began and where it was, and has no place until it is placed anew", () => {
    const registry = new SessionRegistry();
    const session = registry.add(pinOf("a", { openedAtMs: 7 }), 10, 50);
    expect(registry.loseInstance("rooms-v1-1", 20)).toEqual([
      { session, pin: pinOf("a", { openedAtMs: 7 }), connections: 0 },
    ]);
    expect(session).toMatchObject({ place: null, openedAtMs: 7, lastPlace: { release: "v1", instance: "rooms-v1-1" } });
    expect(registry.countOn("rooms-v1-1")).toBe(0);
    expect(registry.size).toBe(1);
  });

  test("is lost once: the second word of the same death finds nobody", () => {
    const registry = new SessionRegistry();
    registry.add(pinOf("a"), 0, 50);
    expect(registry.loseInstance("rooms-v1-1", 1)).toHaveLength(1);
    expect(registry.loseInstance("rooms-v1-1", 2)).toEqual([]);
  });
});

test("a session that has ended can be neither attached to, placed nor ended again", () => {
  const registry = new SessionRegistry();
  const session = registry.add(pinOf("a"), 0, 50);
  registry.end(session, "expired", 5);
  expect(() => registry.attach(session, 50, 0)).toThrow("session a of rooms has ended");
  expect(() => registry.placeAnew(session, pinOf("a", { fence: 2 }))).toThrow("session a of rooms has ended");
  expect(() => registry.end(session, "cut", 6)).toThrow("session a of rooms has ended");
  expect(registry.size).toBe(0);
});

test("sessions that lingered out can be ended while they are listed", () => {
  const registry = new SessionRegistry();
  for (let index = 0; index < 10; index++) registry.add(pinOf(`k${index}`), index, 50);
  for (const session of registry.lingeredOut("rooms", 55)) registry.end(session, "expired", 55);
  expect([...registry.of("rooms")].map((session) => session.key)).toEqual(["k6", "k7", "k8", "k9"]);
});

test("services are those that had a session here", () => {
  const registry = new SessionRegistry();
  registry.end(registry.add(pinOf("a"), 0, 50), "cut", 1);
  registry.add(pinOf("b", { service: "chat" }), 0, 50);
  expect([...registry.services()]).toEqual(["rooms", "chat"]);
});

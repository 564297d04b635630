import type { RoutedInstance, RoutedRelease } from "@holdover/core";
import { beforeEach, describe, expect, test } from "vitest";
import { settled } from "@holdover/testkit/manual-clock";
import { connect, instance, release, service, SessionsWorld, table } from "../test/sessions-fixture.ts";

let world: SessionsWorld;
beforeEach(() => {
  world = new SessionsWorld();
});

const v1 = (first: Partial<RoutedInstance>, more: Partial<RoutedRelease> = {}) =>
  release("v1", "new", { instances: [instance("v1-1", null, first), instance("v1-2")], ...more });

describe("an instance that is being replaced", () => {
  test("gets no session any more, and keeps its own", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, v1({})));
    const own = await connect(sessions, "a");
    expect(own.hold.instance).toBe("v1-1");
    sessions.apply(table(2, v1({ admission: "existing" })));
    for (const key of ["b", "c", "d"]) expect((await connect(sessions, key)).hold.instance).toBe("v1-2");
    expect((await connect(sessions, "a")).hold.instance).toBe("v1-1");
    own.hold.done();
    await world.clock.advance(4900);
    expect((await connect(sessions, "a")).hold).toMatchObject({ instance: "v1-1", fence: own.hold.fence });
    sessions.close();
  });

  test("does not get one that was being placed there when it began to leave", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, v1({})));
    let write = (): void => {};
    world.store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    sessions.apply(table(2, v1({ admission: "existing" })));
    world.store.before = async () => {};
    write();
    expect((await held).hold.instance).toBe("v1-2");
    expect((await world.store.pins()).map((pin) => pin.instance)).toEqual(["v1-2"]);
    sessions.close();
  });

  test("does not get one of its release that was being placed anew there, and that one stays the session it is", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, v1({})));
    const first = await connect(sessions, "a");
    const [{ openedAtMs } = { openedAtMs: 0 }] = sessions.all();
    const restarted = (admission: RoutedInstance["admission"]) =>
      release("v1", "existing", { instances: [instance("v1-3", null, { admission }), instance("v1-4")] });
    sessions.apply(table(2, restarted("new"), release("v2", "new")));
    await settled();
    await world.clock.advance(50);
    let write = (): void => {};
    world.store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    sessions.apply(table(3, restarted("existing"), release("v2", "new")));
    world.store.before = async () => {};
    write();
    const { hold } = await held;
    expect(hold.instance).toBe("v1-4");
    expect(hold.fence).toBeGreaterThan(first.hold.fence);
    expect(sessions.all()).toMatchObject([{ key: "a", openedAtMs, state: "open" }]);
    expect((await world.store.events(10)).filter(({ kind }) => kind === "ended")).toEqual([]);
    sessions.close();
  });

  test("that dies leaves its sessions to another instance of the release", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, v1({})));
    await connect(sessions, "a");
    sessions.apply(table(2, v1({ admission: "existing" }, { admission: "existing" }), release("v2", "new")));
    await sessions.lose("v1-1");
    expect((await connect(sessions, "a")).hold).toMatchObject({ release: "v1", instance: "v1-2" });
    sessions.close();
  });

  test.for(["moved", "cut"] as const)("has its sessions ended alone, as %s and within the cap", async (how) => {
    const sessions = await world.open();
    const cap = { disconnects: { atOnce: 0.25, periodMs: 1000 } };
    sessions.apply({ number: 1, services: [service([v1({})], cap)] });
    const clients = await Promise.all(Array.from({ length: 16 }, (_, key) => connect(sessions, `${key}`)));
    const there = clients.filter(({ hold }) => hold.instance === "v1-1");
    expect(there).toHaveLength(8);
    sessions.apply({ number: 2, services: [service([v1({ admission: "existing", ending: how })], cap)] });
    await world.clock.advance(200);
    expect(clients.filter(({ told }) => told.length > 0)).toHaveLength(4);
    await world.clock.advance(3000);
    expect(there.map(({ told }) => told)).toEqual(there.map(() => [how]));
    expect(clients.flatMap(({ told }) => told)).toHaveLength(8);
    expect((await connect(sessions, "0")).hold.instance).toBe("v1-2");
    expect(sessions.release("v1-1")).toEqual({ released: true });
    sessions.close();
  });

  test("of a release that is being ended is ended as the release is", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, v1({})));
    const client = await connect(sessions, "a");
    const ending = v1({ admission: "existing", ending: "cut" }, { admission: "existing", ending: "moved" });
    sessions.apply(table(2, ending, release("v2", "new")));
    await world.clock.advance(200);
    expect(client.told).toEqual(["moved"]);
    sessions.close();
  });
});

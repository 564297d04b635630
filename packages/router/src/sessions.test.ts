import type { RoutedRelease, RoutingTable } from "@holdover/core";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { ManualClock } from "@holdover/testkit/manual-clock";
import { settled } from "@holdover/testkit/manual-clock";
import type { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { connect, instance, release, rooms, service, SessionsWorld, table } from "../test/sessions-fixture.ts";
import type { Hold } from "./hold.ts";

let world: SessionsWorld;
let clock: ManualClock;
let store: MemoryPinStore;

const newWorld = (): void => {
  world = new SessionsWorld();
  ({ clock, store } = world);
};
beforeEach(newWorld);

describe("placing", () => {
  test("everybody with the same key is on the same instance, also when they come at the same moment", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const holds = await Promise.all(Array.from({ length: 20 }, () => connect(sessions, "a")));
    expect(new Set(holds.map(({ hold }) => hold.instance)).size).toBe(1);
    expect(await store.pins()).toHaveLength(1);
    expect(sessions.counts().get(holds[0]?.hold.instance ?? "")).toEqual({
      open: 1,
      lingering: 0,
      connections: 20,
      wedged: 0,
    });
    sessions.close();
  });

  test("how long it took is counted once a session, and not for one that has its place or gets none", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const placed = () => sessions.placingTook().counts.reduce((sum, count) => sum + count, 0);
    const together = await Promise.all([connect(sessions, "a"), connect(sessions, "a")]);
    expect(together.map(({ hold }) => hold.placed)).toEqual([true, true]);
    const known = await connect(sessions, "a");
    expect(known.hold.placed).toBe(false);
    expect(placed()).toBe(1);
    sessions.apply(table(2, release("v1", "existing")));
    await expect(connect(sessions, "b")).rejects.toMatchObject({ code: "NO_INSTANCE" });
    store.before = () => Promise.reject(new Error("disk full"));
    sessions.apply(table(3, release("v1", "new")));
    await expect(connect(sessions, "c")).rejects.toThrow("disk full");
    expect(placed()).toBe(1);
    sessions.close();
  });

  test("a session is stored before anybody is answered", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    let write = (): void => {};
    store.before = () => new Promise((resolve) => (write = resolve));
    let answered = false;
    const held = connect(sessions, "a").then(() => (answered = true));
    await settled();
    expect(answered).toBe(false);
    write();
    await held;
    expect(await store.pins()).toHaveLength(1);
    sessions.close();
  });

  test("a session that was being placed while its release stopped admitting is placed by the new table", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    let write = (): void => {};
    store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    sessions.apply(table(2, release("v1", "existing"), release("v2", "new")));
    store.before = async () => {};
    write();
    expect((await held).hold.release).toBe("v2");
    expect((await store.pins()).map((pin) => pin.release)).toEqual(["v2"]);
    sessions.close();
  });

  test("a session that was being placed while its instance died is placed on another", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    let write = (): void => {};
    store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    store.before = async () => {};
    await sessions.lose("v1-1");
    write();
    expect((await held).hold.instance).toBe("v1-2");
    sessions.close();
  });

  test("an open session stays on its release after a cutover, also for who joins it or comes back within the linger", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const first = await connect(sessions, "a");
    sessions.apply(table(2, release("v1", "existing"), release("v2", "new")));
    const joiner = await connect(sessions, "a");
    first.hold.done();
    joiner.hold.done();
    await clock.advance(4900);
    expect((await connect(sessions, "a")).hold.instance).toBe(first.hold.instance);
    expect((await connect(sessions, "b")).hold.release).toBe("v2");
    sessions.close();
  });

  test("after its linger a session has ended, and the key is placed on the current release under a higher fence", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const first = await connect(sessions, "a");
    first.hold.done();
    sessions.apply(table(2, release("v1", "existing"), release("v2", "new")));
    await clock.advance(5200);
    expect(await store.events(10)).toMatchObject([{ kind: "ended", session: { key: "a", reason: "expired" } }]);
    const again = await connect(sessions, "a");
    expect(again.hold.release).toBe("v2");
    expect(again.hold.fence).toBeGreaterThan(first.hold.fence);
    sessions.close();
  });

  test("a session that is the connection itself ends with it, as a hangup", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const hold = await sessions.holdConnection(rooms, { end: () => {}, bytes: () => 0 });
    hold.done();
    await settled();
    expect(await store.events(10)).toMatchObject([{ kind: "ended", session: { reason: "hangup" } }]);
    expect(await store.pins()).toEqual([]);
    sessions.close();
  });

  test("one session too many is refused by name, and costs no other its place", async () => {
    const sessions = await world.open(2);
    sessions.apply(table(1, release("v1", "new")));
    await connect(sessions, "a");
    await connect(sessions, "b");
    await expect(connect(sessions, "c")).rejects.toMatchObject({ code: "SESSION_LIMIT" });
    await expect(connect(sessions, "a")).resolves.toBeDefined();
    sessions.close();
  });

  test("while the store refuses writes nothing is placed, and what is placed goes on", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const known = await connect(sessions, "a");
    store.before = () => Promise.reject(new Error("disk full"));
    await expect(connect(sessions, "b")).rejects.toThrow("disk full");
    expect((await connect(sessions, "a")).hold.instance).toBe(known.hold.instance);
    store.before = async () => {};
    await expect(connect(sessions, "b")).resolves.toBeDefined();
    sessions.close();
  });

  test("an end that the store did not take is stored when it can be", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    (await connect(sessions, "a")).hold.done();
    store.before = () => Promise.reject(new Error("disk full"));
    await clock.advance(5200);
    expect(await store.events(10)).toEqual([]);
    store.before = async () => {};
    await clock.advance(200);
    expect(await store.events(10)).toMatchObject([{ kind: "ended", session: { key: "a", reason: "expired" } }]);
    sessions.close();
  });

  test("pins and table are there again after a crash, and a reconnect comes back to its instance", async () => {
    const before = await world.open();
    before.apply(table(1, release("v1", "new")));
    const held = await connect(before, "a");
    before.close();
    const after = await world.open();
    expect(after.table().number).toBe(1);
    expect(after.counts().get(held.hold.instance)).toEqual({ open: 0, lingering: 1, connections: 0, wedged: 0 });
    expect((await connect(after, "a")).hold).toMatchObject({ instance: held.hold.instance, fence: held.hold.fence });
    after.close();
  });

  test("without a table nobody's linger is over: who comes back when there is one finds its place", async () => {
    const before = await world.open();
    before.apply(table(1, release("v1", "new")));
    const held = await connect(before, "a");
    before.close();
    world.cached = undefined;
    const after = await world.open();
    await clock.advance(60_000);
    after.apply(table(2, release("v1", "existing"), release("v2", "new")));
    expect((await connect(after, "a")).hold).toMatchObject({ instance: held.hold.instance, fence: held.hold.fence });
    after.close();
  });

  test("sessions that are placed at the same moment count against the capacity and the limit, and spread", async () => {
    const sessions = await world.open(3);
    const instances = [instance("v1-1", 1), instance("v1-2", 1), instance("v1-3", 1)];
    sessions.apply(table(1, release("v1", "new", { instances })));
    const holds = await Promise.all(["a", "b", "c"].map((key) => connect(sessions, key)));
    expect(new Set(holds.map(({ hold }) => hold.instance)).size).toBe(3);
    await expect(connect(sessions, "d")).rejects.toMatchObject({ code: "SESSION_LIMIT" });
    sessions.close();
  });

  test("a session placed anew does not stay on another release that stopped admitting in between", async () => {
    const sessions = await world.open();
    const [v1, v2, v3] = [release("v1", "new"), release("v2", "new"), release("v3", "new")];
    sessions.apply(table(1, v1));
    await connect(sessions, "a");
    sessions.apply(table(2, v2));
    await settled();
    let write = (): void => {};
    store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    sessions.apply(table(3, { ...v2, admission: "existing" }, v3));
    store.before = async () => {};
    write();
    expect((await held).hold.release).toBe("v3");
    sessions.close();
  });

  test("an older table changes nothing", async () => {
    const sessions = await world.open();
    sessions.apply(table(2, release("v2", "new")));
    sessions.apply(table(1, release("v1", "new")));
    expect((await connect(sessions, "a")).hold.release).toBe("v2");
    sessions.close();
  });
});

describe("giving an instance up", () => {
  test("an instance with a session, open or lingering, is not given up", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const { hold } = await connect(sessions, "a");
    expect(sessions.release(hold.instance)).toEqual({ released: false, sessions: 1 });
    hold.done();
    expect(sessions.release(hold.instance)).toEqual({ released: false, sessions: 1 });
    await clock.advance(5200);
    expect(sessions.release(hold.instance)).toEqual({ released: true });
    sessions.close();
  });

  test("an instance on which a session is being placed is not given up", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new", { instances: [instance("v1-1")] })));
    let write = (): void => {};
    store.before = () => new Promise((resolve) => (write = resolve));
    const held = connect(sessions, "a");
    await settled();
    expect(sessions.release("v1-1")).toEqual({ released: false, sessions: 1 });
    expect(sessions.openCount()).toBe(1);
    write();
    expect((await held).hold.instance).toBe("v1-1");
    sessions.close();
  });

  test("an instance that was given up gets no session, until a later table lists it again", async () => {
    const sessions = await world.open();
    const one = release("v1", "new", { instances: [instance("v1-1")] });
    sessions.apply(table(1, one));
    expect(sessions.release("v1-1")).toEqual({ released: true });
    await expect(connect(sessions, "a")).rejects.toMatchObject({ code: "NO_INSTANCE" });
    sessions.apply(table(2, one));
    expect((await connect(sessions, "a")).hold.instance).toBe("v1-1");
    sessions.close();
  });
});

describe("an instance that dies", () => {
  test("its sessions are counted as disrupted at once and are placed anew on the same release under a higher fence", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const { hold, told } = await connect(sessions, "a");
    sessions.apply(table(2, release("v1", "existing"), release("v2", "new")));
    await sessions.lose(hold.instance);
    expect(told).toEqual(["lost"]);
    const again = await connect(sessions, "a");
    expect(again.hold.release).toBe("v1");
    expect(again.hold.instance).not.toBe(hold.instance);
    expect(again.hold.fence).toBeGreaterThan(hold.fence);
    expect((await store.events(10)).map((event) => event.kind)).toEqual(["disrupted", "placed-anew"]);
    sessions.close();
  });

  test("a session that nobody comes back to has ended as lost", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const { hold } = await connect(sessions, "a");
    await sessions.lose(hold.instance);
    await clock.advance(5200);
    expect((await store.events(10)).at(-1)).toMatchObject({ kind: "ended", session: { reason: "lost" } });
    expect(await store.pins()).toEqual([]);
    sessions.close();
  });

  test("a table that leaves a live instance out ends nobody silently: its sessions are disrupted", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    const { hold, told } = await connect(sessions, "a");
    sessions.apply(table(2, release("v2", "new")));
    await settled();
    expect(told).toEqual(["lost"]);
    expect((await store.events(1))[0]).toMatchObject({ kind: "disrupted", pin: { instance: hold.instance } });
    sessions.close();
  });
});

describe("ending on purpose", () => {
  test("never more connections are closed within a period than the cap allows, and everybody moves in the end", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 100 }),
        async (keys, perKey, percent) => {
          newWorld();
          const sessions = await world.open();
          const cap = { atOnce: percent / 100, periodMs: 1000 };
          const tableOf = (number: number, ...releases: RoutedRelease[]): RoutingTable => ({
            number,
            services: [service(releases, { disconnects: cap })],
          });
          sessions.apply(tableOf(1, release("v1", "new")));
          const closedAt: number[] = [];
          let live = 0;
          for (let key = 0; key < keys; key++) {
            for (let one = 0; one < perKey; one++) {
              live += 1;
              const hold: Hold = await sessions.hold(rooms, `k${key}`, {
                end: () => {
                  closedAt.push(clock.now());
                  hold.done();
                },
                bytes: () => 0,
              });
            }
          }
          const total = live;
          const most = Math.max(1, Math.floor(total * cap.atOnce));
          sessions.apply(tableOf(2, release("v1", "existing", { ending: "moved" }), release("v2", "new")));
          await clock.advance(1100 * (Math.ceil(total / most) + total + 2));
          expect(closedAt).toHaveLength(total);
          for (const at of closedAt) {
            expect(closedAt.filter((other) => other > at - cap.periodMs && other <= at).length).toBeLessThanOrEqual(
              most,
            );
          }
          expect(await store.pins()).toEqual([]);
          sessions.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  test("an instance whose sessions have ended is kept until the last of their connections is closed", async () => {
    const sessions = await world.open();
    sessions.apply({ number: 1, services: [service([release("v1", "new", { instances: [instance("v1-1")] })])] });
    await Promise.all(Array.from({ length: 10 }, () => connect(sessions, "a")));
    const leaving = release("v1", "existing", { ending: "cut", instances: [instance("v1-1")] });
    sessions.apply(table(2, leaving, release("v2", "new")));
    await clock.advance(300);
    expect(await store.pins()).toEqual([]);
    expect(sessions.release("v1-1")).toMatchObject({ released: false });
    expect(sessions.counts().get("v1-1")?.connections).toBeGreaterThan(0);
    await clock.advance(15_000);
    expect(sessions.release("v1-1")).toEqual({ released: true });
    sessions.close();
  });

  test("connections that wait for their turn to be closed are told at once when their instance dies", async () => {
    const sessions = await world.open();
    const one = release("v1", "new", { instances: [instance("v1-1")] });
    sessions.apply(table(1, one));
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(sessions, "a")));
    sessions.apply(table(2, { ...one, admission: "existing", ending: "moved" }, release("v2", "new")));
    await clock.advance(300);
    await sessions.lose("v1-1");
    expect(clients.map(({ told }) => told.join()).toSorted()).toEqual([...Array(9).fill("lost"), "moved"]);
    expect(sessions.openCount()).toBe(0);
    sessions.close();
  });

  test("who joins a session that has been moved lands on the current release", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    await connect(sessions, "a");
    sessions.apply(table(2, release("v1", "existing", { ending: "moved" }), release("v2", "new")));
    await clock.advance(300);
    expect((await connect(sessions, "a")).hold.release).toBe("v2");
    sessions.close();
  });
});

describe("closing", () => {
  test("a host that shuts down admits no new session and lets the live ones be joined", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    await connect(sessions, "a");
    sessions.startClosing("finish");
    await expect(connect(sessions, "b")).rejects.toMatchObject({ code: "NO_INSTANCE" });
    await expect(connect(sessions, "a")).resolves.toBeDefined();
    sessions.close();
  });

  test("cut ends what is live within the cap, and counts each as cut", async () => {
    const sessions = await world.open();
    sessions.apply(table(1, release("v1", "new")));
    for (const key of ["a", "b", "c"]) await connect(sessions, key);
    sessions.startClosing("cut");
    await clock.advance(5000);
    expect(sessions.openCount()).toBe(0);
    const reasons = (await store.events(10)).map((event) => event.kind === "ended" && event.session.reason);
    expect(reasons).toEqual(["cut", "cut", "cut"]);
    sessions.close();
  });
});

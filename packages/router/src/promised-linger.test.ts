import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connect, release, service, SessionsWorld, table } from "../test/sessions-fixture.ts";
import { WORKER_BACK_MS } from "./table-in-force.ts";

const v1 = (lingerMs: number) => release("v1", "new", { lingerMs });

describe("a session without a connection is kept for what its client was promised", () => {
  test("when the linger shrinks meanwhile, and when its service leaves the table", async () => {
    const world = new SessionsWorld();
    const sessions = await world.open();
    sessions.apply(table(1, v1(5000)));
    const before = await connect(sessions, "a");
    sessions.apply(table(2, v1(1000)));
    before.hold.done();
    await world.clock.advance(4900);
    expect(sessions.all()).toHaveLength(1);
    sessions.apply({ number: 3, services: [] });
    expect((await world.store.pins()).map(({ key }) => key)).toEqual(["a"]);
    await world.clock.advance(200);
    expect(await world.store.pins()).toEqual([]);
    sessions.close();
  });

  test("and for less when it comes back under a shorter linger, once the longer promise is over", async () => {
    const world = new SessionsWorld();
    const sessions = await world.open();
    sessions.apply(table(1, v1(50_000)));
    (await connect(sessions, "a")).hold.done();
    sessions.apply(table(2, v1(10_000)));
    // It asks again and again, as a client that polls: the longer promise is not made anew by that.
    for (let at = 0; at < 49_900; at += 100) {
      (await connect(sessions, "a")).hold.done();
      await world.clock.advance(100);
    }
    expect(sessions.all()).toHaveLength(1);
    await world.clock.advance(10_200);
    expect(sessions.all()).toEqual([]);
    sessions.close();
  });

  test("as long as anybody who is in it was promised, not only who left last", async () => {
    const world = new SessionsWorld();
    const sessions = await world.open();
    sessions.apply(table(1, v1(5000)));
    const long = await connect(sessions, "a");
    sessions.apply(table(2, v1(1000)));
    const short = await connect(sessions, "a");
    long.hold.done();
    await world.clock.advance(1000);
    short.hold.done();
    await world.clock.advance(3900);
    expect(sessions.all()).toHaveLength(1);
    await world.clock.advance(300);
    expect(sessions.all()).toEqual([]);
    sessions.close();
  });

  test("long enough for a worker to come back, where it was read back and the service has less", async () => {
    const world = new SessionsWorld();
    const before = await world.open();
    before.apply(table(1, v1(5000)));
    (await connect(before, "a")).hold.done();
    before.close();
    world.cached = table(2, v1(1000));
    const after = await world.open();
    await world.clock.advance(WORKER_BACK_MS - 100);
    expect(after.all()).toHaveLength(1);
    await world.clock.advance(200);
    expect(after.all()).toEqual([]);
    after.close();
  });

  test("as the service normally has it, where it was read back", async () => {
    const world = new SessionsWorld();
    const before = await world.open();
    before.apply(table(1, v1(5000)));
    (await connect(before, "a")).hold.done();
    before.close();
    world.cached = { number: 2, services: [service([v1(1000)], { lingerMs: 60_000 })] };
    const after = await world.open();
    await world.clock.advance(59_900);
    expect(after.all()).toHaveLength(1);
    await world.clock.advance(200);
    expect(after.all()).toEqual([]);
    after.close();
  });

  test("as the first table has it, where there was none when it was read back", async () => {
    const world = new SessionsWorld();
    const before = await world.open();
    before.apply(table(1, v1(5000)));
    (await connect(before, "a")).hold.done();
    before.close();
    world.cached = undefined;
    const after = await world.open();
    await world.clock.advance(60_000);
    expect(after.all()).toHaveLength(1);
    after.apply(table(2, v1(1000)));
    await world.clock.advance(200);
    expect(after.all()).toEqual([]);
    after.close();
  });

  test("and ends at once, as a hangup, where it was promised nothing", async () => {
    const world = new SessionsWorld();
    const sessions = await world.open();
    sessions.apply(table(1, v1(0)));
    (await connect(sessions, "a")).hold.done();
    await world.clock.advance(0);
    expect(await world.store.events(10)).toMatchObject([{ kind: "ended", session: { reason: "hangup" } }]);
    sessions.close();
  });
});

test("whatever the lingers in force, no session ends before the promises of all who left it are over, and none much later", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("join" as const), linger: fc.constantFrom(500, 2000, 9000) }),
    fc.record({ do: fc.constant("leave" as const), which: fc.nat() }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(100, 700, 2500) }),
  );
  let ended = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), async (steps) => {
      const world = new SessionsWorld();
      const sessions = await world.open();
      let number = 0;
      const inside: { lingerMs: number; leave: () => void }[] = [];
      let promisedUntilMs = 0;
      for (const one of steps) {
        if (one.do === "join") {
          sessions.apply(table((number += 1), v1(one.linger)));
          const { hold } = await connect(sessions, "a");
          inside.push({ lingerMs: one.linger, leave: () => hold.done() });
        } else if (one.do === "leave") {
          const [left] = inside.splice(one.which % Math.max(1, inside.length), 1);
          left?.leave();
          promisedUntilMs = Math.max(promisedUntilMs, world.clock.now() + (left?.lingerMs ?? 0));
        } else {
          await world.clock.advance(one.ms);
        }
        if (inside.length > 0) continue;
        const live = sessions.all().length === 1;
        const now = world.clock.now();
        expect(live || now >= promisedUntilMs).toBe(true);
        // Rounded up by 1/64, and ended at the next tick.
        expect(!live || now <= promisedUntilMs + 9000 / 64 + 100).toBe(true);
        if (!live) {
          ended += 1;
          promisedUntilMs = 0;
        }
      }
      sessions.close();
    }),
    { numRuns: 100 },
  );
  expect(ended).toBeGreaterThan(20);
});

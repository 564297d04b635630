import type { RoutedRelease, RoutedService, RoutingTable } from "@holdover/core";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { connect, release, service, SessionsWorld, type Client } from "../test/sessions-fixture.ts";
import type { Sessions } from "./sessions.ts";

/** With 0.5 drawn the limit is exactly this. */
const MAX_MS = 20_000;
const LIMIT = { maxMs: MAX_MS, graceMs: 5000 };

let world: SessionsWorld;
let sessions: Sessions;
beforeEach(async () => {
  world = new SessionsWorld();
  sessions = await world.open();
});

function tableOf(number: number, more: Partial<RoutedService>, given: Partial<RoutedRelease> = {}): RoutingTable {
  return { number, services: [service([release("v1", "new", given)], { connectionAge: LIMIT, ...more })] };
}

async function lasting(key: string | null): Promise<Client> {
  const client = await connect(sessions, key);
  client.hold.lasts();
  return client;
}

describe("a connection that lasts", () => {
  test("is closed when it is too old, and its session stays where it is, under its fence", async () => {
    sessions.apply(tableOf(1, {}));
    const client = await lasting("a");
    await world.clock.advance(MAX_MS - 100);
    expect(client.told).toEqual([]);
    await world.clock.advance(3000);
    expect(client.told).toEqual(["aged"]);
    expect((await connect(sessions, "a")).hold).toMatchObject({
      instance: client.hold.instance,
      fence: client.hold.fence,
    });
    expect(await world.store.events(10)).toEqual([]);
    sessions.close();
  });

  test("is left alone as a plain request, without a limit, and once it has gone", async () => {
    sessions.apply(tableOf(1, {}));
    const plain = await connect(sessions, "plain");
    const gone = await lasting("gone");
    gone.hold.done();
    await world.clock.advance(3 * MAX_MS);
    sessions.apply(tableOf(2, { connectionAge: null }));
    const unlimited = await lasting("unlimited");
    await world.clock.advance(3 * MAX_MS);
    expect([plain, gone, unlimited].flatMap(({ told }) => told)).toEqual([]);
    sessions.close();
  });

  test("waits for a moment in which nothing is sent, up to the grace", async () => {
    sessions.apply(tableOf(1, { disconnects: { atOnce: 1, periodMs: 1000 } }));
    const [resting, busy] = [await lasting("resting"), await lasting("busy")];
    const talk = async (who: readonly Client[], ms: number) => {
      for (let at = 0; at < ms; at += 500) {
        for (const client of who) client.bytes += 1;
        await world.clock.advance(500);
      }
    };
    await talk([resting, busy], MAX_MS + 2500);
    expect([resting.told, busy.told]).toEqual([[], []]);
    await talk([busy], 1500);
    expect([resting.told, busy.told]).toEqual([["aged"], []]);
    await talk([busy], 3000);
    expect(busy.told).toEqual(["aged"]);
    sessions.close();
  });

  test("is weighed again when the limit changes, by when it began", async () => {
    sessions.apply(tableOf(1, { connectionAge: null }));
    const client = await lasting("a");
    await world.clock.advance(MAX_MS);
    sessions.apply(tableOf(2, { connectionAge: { maxMs: 3 * MAX_MS, graceMs: 0 } }));
    await world.clock.advance(MAX_MS);
    expect(client.told).toEqual([]);
    sessions.apply(tableOf(3, { connectionAge: { maxMs: MAX_MS, graceMs: 0 } }));
    await world.clock.advance(2000);
    expect(client.told).toEqual(["aged"]);
    sessions.close();
  });

  test.for([
    ["is its session ends it as moved", null, 5000],
    ["has a session without a linger ends it as moved", "a", 0],
  ] as const)("and %s", async ([, key, lingerMs]) => {
    sessions.apply(tableOf(1, {}, { lingerMs }));
    const client = await lasting(key);
    await world.clock.advance(MAX_MS + 3000);
    expect(client.told).toHaveLength(1);
    expect(await world.store.pins()).toEqual([]);
    expect(await world.store.events(10)).toMatchObject([{ kind: "ended", session: { reason: "moved" } }]);
    sessions.close();
  });

  test("is closed within the cap, counted together with what a release that is left closes", async () => {
    const period = 1000;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 100 }),
        async (ageing, leaving, percent) => {
          world = new SessionsWorld();
          sessions = await world.open();
          const disconnects = { atOnce: percent / 100, periodMs: period };
          const both = (number: number, left: RoutedRelease) => ({
            number,
            services: [service([left, release("v2", "new")], { connectionAge: LIMIT, disconnects })],
          });
          const closedAt: number[] = [];
          const connection = (done: () => void) => ({
            end: () => {
              closedAt.push(world.clock.now());
              done();
            },
            bytes: () => 0,
          });
          const join = async (key: string) => {
            const hold = await sessions.hold(
              service([]),
              key,
              connection(() => hold.done()),
            );
            hold.lasts();
          };
          sessions.apply(both(1, release("v1", "new")));
          for (let key = 0; key < leaving; key++) await join(`l${key}`);
          sessions.apply(both(2, release("v1", "existing")));
          for (let key = 0; key < ageing; key++) await join(`a${key}`);
          await world.clock.advance(MAX_MS - 1000);
          sessions.apply(both(3, release("v1", "existing", { ending: "moved" })));
          const total = ageing + leaving;
          const most = Math.max(1, Math.floor(total * disconnects.atOnce));
          await world.clock.advance(1100 * (total + 5));
          expect(closedAt).toHaveLength(total);
          for (const at of closedAt) {
            const within = closedAt.filter((other) => other > at - period && other <= at);
            expect(within.length).toBeLessThanOrEqual(most);
          }
          sessions.close();
        },
      ),
      { numRuns: 20 },
    );
  });
});

test("connections that began together do not end together", async () => {
  world = new SessionsWorld();
  let drawn = 0;
  sessions = await world.open(1000, () => (drawn += 1) / 101);
  sessions.apply(tableOf(1, { disconnects: { atOnce: 1, periodMs: 1000 } }));
  const clients = await Promise.all(Array.from({ length: 100 }, (_, key) => lasting(`${key}`)));
  const toldBy = async (ms: number) => {
    await world.clock.advance(ms);
    return clients.filter(({ told }) => told.length > 0).length;
  };
  expect(await toldBy(0.9 * MAX_MS - 100)).toBe(0);
  const half = await toldBy(0.1 * MAX_MS + 2000);
  expect(half).toBeGreaterThan(30);
  expect(half).toBeLessThan(80);
  expect(await toldBy(0.1 * MAX_MS + 2000)).toBe(100);
});

import { beforeEach, describe, expect, test } from "vitest";
import { connect, release, service, SessionsWorld, table, type Client } from "../test/sessions-fixture.ts";
import type { Sessions } from "./sessions.ts";

const AFTER_MS = 10_000;

let world: SessionsWorld;
let sessions: Sessions;
beforeEach(async () => {
  world = new SessionsWorld();
  sessions = await world.open();
  sessions.apply(table(1, release("v1", "new")));
});

function retain(cut: boolean, periodMs = 1000): void {
  const v1 = release("v1", "existing", { wedged: { afterMs: AFTER_MS, cut } });
  const disconnects = { atOnce: 0.05, periodMs };
  sessions.apply({ number: 2, services: [service([v1, release("v2", "new")], { disconnects })] });
}

const wedgedKeys = () => sessions.all().flatMap(({ key, wedgedSinceMs }) => (wedgedSinceMs === null ? [] : [key]));
const wedgedCount = () => [...sessions.counts().values()].reduce((sum, { wedged }) => sum + wedged, 0);

/** Time goes on, and every second a byte passes some. */
async function talking(clients: readonly Client[], ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 1000) {
    for (const client of clients) client.bytes += 1;
    await world.clock.advance(1000);
  }
}

describe("a session of a retained release", () => {
  test("is wedged when no byte has passed any of its connections for so long, and live again with the next", async () => {
    const quiet = await connect(sessions, "quiet");
    const busy = await connect(sessions, "busy");
    const half = [await connect(sessions, "half"), await connect(sessions, "half")] as const;
    retain(false);
    const fromMs = world.clock.now();
    await talking([busy, half[0]], AFTER_MS - 1000);
    expect(wedgedKeys()).toEqual([]);
    await talking([busy, half[0]], 2000);
    expect(wedgedKeys()).toEqual(["quiet"]);
    expect(wedgedCount()).toBe(1);
    const listed = sessions.all().find(({ key }) => key === "quiet");
    expect((listed?.wedgedSinceMs ?? 0) - fromMs).toBeLessThan(1100);
    await talking([quiet], 2000);
    expect(wedgedKeys()).toEqual([]);
    expect(wedgedCount()).toBe(0);
    expect(quiet.told).toEqual([]);
    sessions.close();
  });

  test("that lingers, or whose connections came since, is none", async () => {
    (await connect(sessions, "lingers")).hold.done();
    const first = await connect(sessions, "again");
    retain(false);
    await world.clock.advance(4000);
    first.hold.done();
    // As many bytes as the one before, as a client that asks the same again: it is alive all the same.
    await connect(sessions, "again");
    await world.clock.advance(7000);
    expect(wedgedKeys()).toEqual([]);
    await world.clock.advance(4000);
    expect(wedgedKeys()).toEqual(["again"]);
    sessions.close();
  });

  test("is not looked at while nobody asks, and not wedged any more once its release is current again", async () => {
    await connect(sessions, "a");
    await world.clock.advance(5 * AFTER_MS);
    expect(wedgedKeys()).toEqual([]);
    retain(false);
    await world.clock.advance(AFTER_MS + 1100);
    expect(wedgedKeys()).toEqual(["a"]);
    sessions.apply(table(9, release("v1", "new"), release("v2", "existing")));
    await world.clock.advance(100);
    expect(wedgedKeys()).toEqual([]);
    sessions.close();
  });

  test("is cut when it is wedged and that is told, within the cap, and nobody else is", async () => {
    const wedged = await Promise.all(Array.from({ length: 40 }, (_, at) => connect(sessions, `wedged-${at}`)));
    const busy = await connect(sessions, "busy");
    retain(true);
    await talking([busy], AFTER_MS);
    expect(wedged.flatMap(({ told }) => told)).toEqual([]);
    await world.clock.advance(900);
    // 5% of 41 at once.
    expect(wedged.flatMap(({ told }) => told)).toEqual(["cut", "cut"]);
    await talking([busy], 60_000);
    expect(wedged.map(({ told }) => told)).toEqual(wedged.map(() => ["cut"]));
    expect(busy.told).toEqual([]);
    const reasons = (await world.store.events(100)).map((event) => event.kind === "ended" && event.session.reason);
    expect(reasons).toEqual(wedged.map(() => "cut"));
    sessions.close();
  });

  test("is not cut when a byte passes it while it waits for its turn", async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, (_, at) => connect(sessions, `${at}`)));
    retain(true, 300);
    // The look has just been, and the next is a second away: there would be time for all of them.
    await world.clock.advance(AFTER_MS + 150);
    expect(clients.flatMap(({ told }) => told)).toEqual(["cut"]);
    for (const client of clients) client.bytes += 1;
    await world.clock.advance(AFTER_MS - 2000);
    expect(clients.flatMap(({ told }) => told)).toEqual(["cut"]);
    sessions.close();
  });
});

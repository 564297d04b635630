import type { RoutedRelease, RoutingTable } from "@holdover/core";
import type { ManualClock } from "@holdover/testkit/manual-clock";
import { beforeEach, describe, expect, test } from "vitest";
import {
  connect,
  instance,
  release,
  rooms,
  service,
  SessionsWorld,
  table,
  type Client,
} from "../test/sessions-fixture.ts";
import type { Hold } from "./hold.ts";
import type { Sessions } from "./sessions.ts";

/** One session is placed anew by word, and nobody else hears of it. */

const TICK_MS = 100;

let world: SessionsWorld;
let clock: ManualClock;
let sessions: Sessions;
beforeEach(async () => {
  world = new SessionsWorld();
  ({ clock } = world);
  sessions = await world.open();
  return () => sessions.close();
});

const find = (key: string) => sessions.all().find((one) => one.key === key);
const would = (key: string) => sessions.move({ service: "rooms", key, fence: null });
const move = (key: string) => sessions.move({ service: "rooms", key, fence: find(key)?.fence ?? 0 });
/** v1 is left, v2 takes what is new. */
const handover = () => sessions.apply(table(2, release("v2", "new"), release("v1", "existing")));
const reasons = async () =>
  (await world.store.events(100)).flatMap((event) =>
    event.kind === "ended" ? [`${event.session.key} ${event.session.reason}`] : [],
  );

/** A job that a worker holds: it says that it finishes, and is there until it has. */
async function job(key: string): Promise<{ readonly hold: Hold; readonly told: string[] }> {
  const told: string[] = [];
  const connection = { end: (how: string) => void told.push(how), finishes: true, bytes: () => 0 };
  return { told, hold: await sessions.hold(rooms, key, connection) };
}

describe("a session that is moved by word", () => {
  test("ends as moved, and is placed on the current release under a higher fence when its clients come back", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const [ada, grace, other] = [
      await connect(sessions, "a"),
      await connect(sessions, "a"),
      await connect(sessions, "b"),
    ];
    handover();
    expect(move("a")).toEqual({
      release: "v1",
      instance: ada.hold.instance,
      fence: ada.hold.fence,
      connections: 2,
      job: false,
      to: "v2",
    });
    // One connection of three may be closed within a period.
    await clock.advance(TICK_MS);
    expect([ada.told, grace.told].flat()).toEqual(["moved"]);
    await clock.advance(1000);
    expect([ada.told, grace.told, other.told]).toEqual([["moved"], ["moved"], []]);
    const back = await connect(sessions, "a");
    expect(back.hold.release).toBe("v2");
    expect(back.hold.fence).toBeGreaterThan(ada.hold.fence);
    expect(find("b")).toMatchObject({ release: "v1", fence: other.hold.fence, state: "open" });
    expect(await reasons()).toEqual(["a moved"]);
  });

  test("is what it was until the disconnect cap has room for it, in the order of the words: whoever joins it joins it where it is", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const clients: Client[] = [];
    for (const key of ["a", "b", "c"]) clients.push(await connect(sessions, key));
    handover();
    for (const key of ["a", "b", "c"]) move(key);
    await clock.advance(TICK_MS);
    expect(clients.map(({ told }) => told.length)).toEqual([1, 0, 0]);
    expect((await connect(sessions, "b")).hold.release).toBe("v1");
    await clock.advance(1000);
    expect(find("b")).toBeUndefined();
    expect(find("c")).toMatchObject({ release: "v1", state: "open" });
    await clock.advance(2500);
    expect(find("c")).toBeUndefined();
    expect(await reasons()).toEqual(["a moved", "b moved", "c moved"]);
  });

  test("without a connection ends at once; who comes back finds it placed anew", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const { hold } = await connect(sessions, "a");
    hold.done();
    handover();
    expect(move("a")).toMatchObject({ connections: 0, to: "v2" });
    await clock.advance(TICK_MS);
    expect(await reasons()).toEqual(["a moved"]);
    expect((await connect(sessions, "a")).hold.release).toBe("v2");
  });

  test("may stay on its release and even on its only instance: it comes back under a higher fence", async () => {
    const only = release("v1", "new", { instances: [instance("v1-1", 1)] });
    sessions.apply(table(1, only));
    const { hold } = await connect(sessions, "a");
    expect(move("a")).toMatchObject({ to: "v1" });
    await clock.advance(TICK_MS);
    const back = await connect(sessions, "a");
    expect([back.hold.instance, back.hold.fence > hold.fence]).toEqual(["v1-1", true]);
  });

  test("goes where a ramp has its key", async () => {
    sessions.apply(table(1, release("v1", "new")));
    await connect(sessions, "a");
    sessions.apply(table(2, release("v2", "new", { percent: 100 }), release("v1", "new")));
    expect(would("a").to).toBe("v2");
  });

  test("once is moved once, although the word comes twice and late", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const { hold } = await connect(sessions, "a");
    handover();
    move("a");
    await clock.advance(TICK_MS);
    const back = await connect(sessions, "a");
    expect(() => sessions.move({ service: "rooms", key: "a", fence: hold.fence })).toThrow(
      expect.objectContaining({ code: "SESSION_NOT_LIVE" }),
    );
    await clock.advance(5000);
    expect(back.told).toEqual([]);
  });
});

describe("nothing is moved", () => {
  test("by asking what a move would do", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const client = await connect(sessions, "a");
    handover();
    expect(would("a")).toMatchObject({ release: "v1", to: "v2", connections: 1 });
    await clock.advance(5000);
    expect([client.told, await reasons()]).toEqual([[], []]);
  });

  test.each<[string, () => RoutingTable]>([
    ["no release takes new sessions", () => table(2, release("v1", "existing"))],
    [
      "all that would take it are full",
      () => table(2, release("v2", "new", { instances: [instance("v2-1", 0)] }), release("v1", "existing")),
    ],
    [
      "all that would take it are being replaced",
      () =>
        table(
          2,
          release("v2", "new", { instances: [instance("v2-1", null, { admission: "existing" })] }),
          release("v1", "existing"),
        ),
    ],
  ])("where %s: it is refused, and its client hears nothing", async (_what, after) => {
    sessions.apply(table(1, release("v1", "new")));
    const client = await connect(sessions, "a");
    sessions.apply(after());
    expect(() => move("a")).toThrow(expect.objectContaining({ code: "NO_INSTANCE" }));
    await clock.advance(5000);
    expect(client.told).toEqual([]);
  });

  test("when its turn comes and what would have taken it is gone", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const client = await connect(sessions, "a");
    handover();
    move("a");
    sessions.apply(table(3, release("v1", "existing")));
    await clock.advance(5000);
    expect([client.told, find("a")?.release]).toEqual([[], "v1"]);
    // The word was for then, and is not kept.
    handoverAgain();
    await clock.advance(5000);
    expect(client.told).toEqual([]);
  });

  const handoverAgain = () => sessions.apply(table(4, release("v2", "new"), release("v1", "existing")));

  test("of a session that nobody has, that has ended, or that has lost its place", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const refused = expect.objectContaining({ code: "SESSION_NOT_LIVE" });
    expect(() => would("nobody")).toThrow(refused);
    expect(() => sessions.move({ service: "other", key: "a", fence: null })).toThrow(refused);
    const { hold } = await connect(sessions, "a");
    await sessions.lose(hold.instance);
    expect(() => would("a")).toThrow(refused);
    (await connect(sessions, null)).hold.done();
    expect(() => would("~1")).toThrow(refused);
  });

  test("where its instance dies before its turn: its clients hear of that alone", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const client = await connect(sessions, "a");
    handover();
    move("a");
    await sessions.lose(client.hold.instance);
    expect(client.told).toEqual(["lost"]);
    const back = await connect(sessions, "a");
    await clock.advance(5000);
    expect([back.hold.release, back.told]).toEqual(["v1", []]);
  });

  test("while the host shuts down", async () => {
    sessions.apply(table(1, release("v1", "new")));
    await connect(sessions, "a");
    sessions.startClosing("finish");
    expect(() => move("a")).toThrow(expect.objectContaining({ code: "HOST_CLOSING" }));
  });
});

describe("a job", () => {
  test("is asked to finish, once, and stays where it is until it has", async () => {
    sessions.apply(table(1, release("v1", "new")));
    const { hold, told } = await job("a");
    handover();
    expect(move("a")).toMatchObject({ job: true, connections: 1 });
    await clock.advance(TICK_MS);
    move("a");
    await clock.advance(5000);
    expect([told, find("a")]).toEqual([["moved"], expect.objectContaining({ release: "v1", state: "open" })]);
    hold.done();
    expect(await reasons()).toEqual([]);
  });

  test("is told as one that is not moved where ages are asked for", async () => {
    sessions.apply(table(1, release("v1", "new")));
    await job("a");
    await connect(sessions, "b");
    const { groups } = await sessions.ages({ service: "rooms", by: "release" });
    expect(groups.map(({ jobs, open }) => [jobs, open.sessions])).toEqual([[1, 2]]);
  });
});

test("however many sessions are moved by word, no more connections are closed within a period than the cap allows", async () => {
  const releases = (...all: RoutedRelease[]): RoutingTable["services"] => [
    service(all, { disconnects: { atOnce: 0.1, periodMs: 1000 } }),
  ];
  sessions.apply({ number: 1, services: releases(release("v1", "new")) });
  const clients: Client[] = [];
  const keys = Array.from({ length: 20 }, (_, index) => `room ${index}`);
  for (const key of keys) for (let one = 0; one < 2; one += 1) clients.push(await connect(sessions, key));
  sessions.apply({ number: 2, services: releases(release("v2", "new"), release("v1", "existing")) });
  for (const key of keys) move(key);
  const isTold = ({ told }: Client): boolean => told.length > 0;
  const closedAt: number[] = [];
  for (let tick = 0; tick < 600 && closedAt.length < clients.length; tick += 1) {
    await clock.advance(TICK_MS);
    while (closedAt.length < clients.filter(isTold).length) closedAt.push(clock.now());
    // A tenth of the forty that there are at first, and of ever fewer.
    expect(closedAt.filter((atMs) => atMs > clock.now() - 1000).length).toBeLessThanOrEqual(4);
  }
  expect(closedAt).toHaveLength(clients.length);
  expect((await reasons()).toSorted()).toEqual(keys.map((key) => `${key} moved`).toSorted());
});

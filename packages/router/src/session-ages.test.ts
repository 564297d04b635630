import { SessionRegistry, type AgeGroup, type Clock } from "@holdover/core";
import { expect, test } from "vitest";
import { connect, release, SessionsWorld, table } from "../test/sessions-fixture.ts";
import { sessionAges } from "./session-ages.ts";

const nameOf = ({ release, instance, label }: AgeGroup) => [release, instance, label];

test("ages come by release and label, or by instance and label; lingering sessions with what is left of their linger", async () => {
  const world = new SessionsWorld();
  const sessions = await world.open();
  sessions.apply(table(1, release("v1", "new")));
  await connect(sessions, "a", "support");
  await connect(sessions, "b", "support");
  await world.clock.advance(3000);
  const leaving = await connect(sessions, "c");
  leaving.hold.done();
  await world.clock.advance(1000);
  const atMs = world.clock.now();
  const none = { ageMs: [], count: [], sessions: 0 };
  expect(await sessions.ages({ service: "rooms", by: "release" })).toEqual({
    atMs,
    groups: [
      {
        release: "v1",
        instance: null,
        label: "support",
        open: { ageMs: [4000, 4000], count: [1, 1], sessions: 2 },
        jobs: 0,
        lingering: none,
      },
      {
        release: "v1",
        instance: null,
        label: null,
        open: none,
        jobs: 0,
        lingering: { ageMs: [4000], count: [1], sessions: 1 },
      },
    ],
  });
  const { groups } = await sessions.ages({ service: "rooms", by: "instance" });
  expect(groups.map(nameOf)).toEqual([
    ["v1", "v1-1", "support"],
    ["v1", "v1-1", null],
    ["v1", "v1-2", "support"],
  ]);
  await sessions.lose("v1-1");
  expect((await sessions.ages({ service: "rooms", by: "release" })).groups.map(({ open }) => open.sessions)).toEqual([
    1,
  ]);
  expect((await sessions.ages({ service: "nobody", by: "release" })).groups).toEqual([]);
  sessions.close();
});

test("a session's label is what its first request had, also after it was placed anew", async () => {
  const world = new SessionsWorld();
  const sessions = await world.open();
  sessions.apply(table(1, release("v1", "new")));
  const first = await connect(sessions, "a", "support");
  await connect(sessions, "a", "advisory");
  await sessions.lose(first.hold.instance);
  await connect(sessions, "a", "advisory");
  expect(sessions.all()).toMatchObject([{ key: "a", label: "support" }]);
  expect((await world.store.pins()).map(({ label }) => label)).toEqual(["support"]);
  const labels = (await world.store.events(10)).map((event) => event.kind !== "ended" && event.pin.label);
  expect(labels).toEqual(["support", "support"]);
  sessions.close();
});

test("a large group is a sample of even ages, whose counts add up to all of it", async () => {
  const registry = new SessionRegistry();
  const many = 123_457;
  for (let n = 0; n < many; n++) {
    const place = { release: "v1", instance: "v1-1", fence: n };
    registry.attach(registry.add({ service: "rooms", key: `${n}`, ...place, openedAtMs: n, label: null }, 0, 0), 0, 0);
  }
  const clock: Clock = { now: () => many, after: (_, run) => (setImmediate(run), () => {}) };
  const { groups } = await sessionAges(registry, { service: "rooms", by: "release" }, clock, () => false);
  expect(groups).toHaveLength(1);
  const { open } = groups[0] as AgeGroup;
  expect(open.sessions).toBe(many);
  expect(open.count.reduce((sum, count) => sum + count, 0)).toBe(many);
  // The ages are 1 to `many`, evenly: the bins' means are, too.
  const mean = open.ageMs.reduce((sum, age, at) => sum + age * (open.count[at] ?? 0), 0) / many;
  expect(Math.abs(mean / (many / 2) - 1)).toBeLessThan(0.01);
  expect(open.ageMs[0]).toBeLessThan(many / 32);
  expect(open.ageMs.at(-1)).toBeGreaterThan((many * 31) / 32);
});

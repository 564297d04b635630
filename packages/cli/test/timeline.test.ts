import { binAges, type AgeGroup, type EndReason, type SessionEvent } from "@holdover/core";
import { ManualClock, settled } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

/** Control on a clock that stands still: what it tells of the past, and of how long sessions last. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let clock: ManualClock;
let world: ControlWorld;

beforeEach(async () => {
  // In the afternoon of a day, so that the day before is another.
  clock = new ManualClock(Math.floor(Date.now() / DAY) * DAY + 15 * HOUR);
  world = await createControlWorld(
    { rooms: definition({ dir: "/builds/v1" }), chat: definition({ path: "/chat" }) },
    clock,
  );
  await becomes("v1", "current");
});

afterEach(() => world.dispose());

/** Lets control's clock go on until a release is in a state: starting is the platform's, and takes real time. */
async function becomes(release: string, state: string): Promise<void> {
  await vi.waitFor(
    async () => {
      await clock.advance(250);
      expect(world.control().release("rooms", release).state).toBe(state);
    },
    { timeout: 20_000, interval: 10 },
  );
}

const timeline = (query: { fromMs?: number; untilMs?: number; points?: number } = {}, service = "rooms") =>
  world.control().timeline(service, { points: 240, ...query });

const lane = async (release: string, query: Parameters<typeof timeline>[0]) =>
  (await timeline(query)).lanes.find((one) => one.release === release)?.sessions;

test("the timeline has what each release held at each moment, and the last moment is now", async () => {
  world.dataPlane.setSessions("rooms.v1-1", 3);
  const fromMs = clock.now();
  await clock.advance(MINUTE);
  world.dataPlane.setSessions("rooms.v1-1", 5);
  await clock.advance(MINUTE);
  world.dataPlane.setSessions("rooms.v1-1", 7);
  expect((await lane("v1", { fromMs, points: 5 }))?.slice(1)).toEqual([3, 3, 5, 7]);
  const { nowMs, stepMs, moments, ...told } = await timeline({ fromMs, untilMs: clock.now() - 30_000, points: 4 });
  expect([nowMs, stepMs, moments]).toEqual([clock.now(), 30_000, 4]);
  expect(told).toMatchObject({ service: "rooms", fromMs, lanes: [{ release: "v1" }] });
  expect(told.lanes[0]?.sessions.slice(1)).toEqual([3, 3, 5]);
});

test("what was counted within the last minute is told although it is not stored yet", async () => {
  const fromMs = clock.now();
  for (const sessions of [1, 2, 3, 4]) {
    world.dataPlane.setSessions("rooms.v1-1", sessions);
    await clock.advance(10_000);
  }
  world.dataPlane.setSessions("rooms.v1-1", 9);
  expect((await lane("v1", { fromMs, points: 5 }))?.slice(1)).toEqual([1, 2, 3, 9]);
});

test("the last moment is not known where nobody can count now, however much was counted since the moment before", async () => {
  world.dataPlane.setSessions("rooms.v1-1", 3);
  await clock.advance(10 * MINUTE);
  world.dataPlane.setLinked(false);
  const [, before, now] = (await lane("v1", { fromMs: clock.now() - 8 * MINUTE, points: 3 })) ?? [];
  expect([before, now]).toEqual([3, null]);
});

test("time in which nobody could count is a gap: while the link was down, and while there was no control", async () => {
  world.dataPlane.setSessions("rooms.v1-1", 3);
  const fromMs = clock.now();
  await clock.advance(2 * MINUTE);
  world.dataPlane.setLinked(false);
  await clock.advance(2 * MINUTE);
  expect((await lane("v1", { fromMs }))?.at(-1)).toBeNull();
  world.dataPlane.setLinked(true);
  await clock.advance(2 * MINUTE);
  // Another control process begins ten minutes after this one was killed.
  const dead = world.control();
  await dead.stop();
  await clock.advance(10 * MINUTE);
  await world.restart();
  await clock.advance(2 * MINUTE);
  const minutes = await lane("v1", { fromMs, points: 19 });
  expect(minutes).toHaveLength(19);
  const told = minutes?.slice(1).map((sessions) => (sessions === null ? "-" : String(sessions)));
  expect(told?.join("")).toBe("33--33----------33");
});

test("a control process that is stopped stores what it has counted; one that is killed takes less than a minute along", async () => {
  world.dataPlane.setSessions("rooms.v1-1", 3);
  await clock.advance(MINUTE);
  const fromMs = clock.now();
  await clock.advance(50_000);
  await world.control().stop();
  await world.restart();
  const untilMs = fromMs + 50_000;
  expect((await lane("v1", { fromMs, untilMs, points: 11 }))?.slice(1)).toEqual(Array(10).fill(3));
  await clock.advance(2 * MINUTE);
  const beforeMs = clock.now();
  await world.restart();
  const known = await lane("v1", { fromMs: beforeMs - 2 * MINUTE, untilMs: beforeMs, points: 13 });
  expect(known?.slice(1, 7)).toEqual(Array(6).fill(3));
});

test("a release that comes and one that goes are at zero while others are counted; what happened to them is marked", async () => {
  await clock.advance(1);
  const fromMs = clock.now();
  await clock.advance(MINUTE);
  await world
    .control()
    .deploy("rooms", { release: "v2", dir: "/builds/v2", then: { then: "promote" } }, "operator:ana");
  await becomes("v2", "current");
  await becomes("v1", "retired");
  world.dataPlane.setSessions("rooms.v2-1", 2);
  await clock.advance(2 * MINUTE);
  const { lanes, marks } = await timeline({ fromMs, points: 7 });
  expect(lanes.map(({ release }) => release)).toEqual(["v1", "v2"]);
  expect(lanes[0]?.sessions.at(-1)).toBe(0);
  expect([lanes[1]?.sessions[1], lanes[1]?.sessions.at(-1)]).toEqual([0, 2]);
  expect(marks.map(({ kind, release }) => `${release} ${kind}`)).toEqual([
    "v2 release.starting",
    "v2 release.current",
    "v1 release.retired",
  ]);
  expect(marks[0]).toMatchObject({ actor: "operator:ana", reason: "deploy of /builds/v2" });
  expect((await timeline({ fromMs, untilMs: fromMs + MINUTE / 2 })).marks).toEqual([]);
  expect(await timeline({ fromMs }, "chat")).toMatchObject({ lanes: [], marks: [] });
});

test("the timeline keeps to its bounds: moments 5 s apart or more, 48 hours back, no time that is to come", async () => {
  const nowMs = clock.now();
  const short = await timeline({ fromMs: nowMs - 20_000, points: 1000 });
  expect(short).toMatchObject({ fromMs: nowMs - 20_000, stepMs: 5000, moments: 5 });
  const long = await timeline({ fromMs: 0, untilMs: nowMs + DAY, points: 2 });
  expect(long).toMatchObject({ fromMs: nowMs - 2 * DAY, stepMs: 2 * DAY, moments: 2 });
  expect(await timeline()).toMatchObject({ fromMs: nowMs - HOUR, moments: 240 });
  for (const query of [{ fromMs: nowMs }, { fromMs: nowMs + 1 }, { untilMs: 1000 }, { fromMs: 5, untilMs: 4 }]) {
    await expect(timeline(query)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  }
  await expect(timeline({}, "unknown")).rejects.toMatchObject({ code: "SERVICE_UNKNOWN" });
});

test("a store that takes nothing makes a gap and stops nothing", async () => {
  world.dataPlane.setSessions("rooms.v1-1", 3);
  const fromMs = clock.now();
  world.refuseWrites(true);
  await clock.advance(2 * MINUTE);
  world.refuseWrites(false);
  await clock.advance(2 * MINUTE);
  const told = await lane("v1", { fromMs, points: 9 });
  expect(told?.slice(-3)).toEqual([3, 3, 3]);
  expect(told?.slice(1, 3)).toEqual([null, null]);
});

let seq = 0;

async function end(many: number, lengthMs: (index: number) => number, endedAtMs: number, reason: EndReason = "hangup") {
  const events = Array.from({ length: many }, (_, index): SessionEvent => {
    seq += 1;
    const place = { service: "rooms", release: "v1", instance: "rooms.v1-1", fence: seq };
    const times = { openedAtMs: endedAtMs - lengthMs(index), endedAtMs };
    const session = { ...place, ...times, key: `room-${seq}`, label: null, reason, connectionsClosed: 0 };
    return { seq, atMs: endedAtMs, kind: "ended", session };
  });
  await world.dataPlane.tell("host", events);
}

function group(release: string, ages: readonly number[], lingers: readonly number[] = []): AgeGroup {
  const [open, lingering] = [ages, lingers].map((of) => binAges(Float64Array.from(of)));
  return { release, instance: null, label: null, open: open!, jobs: 0, lingering: lingering! };
}

test("ages are told in bins for each release that is not over", async () => {
  const groups = [group("v1", [0, 59_999, MINUTE, 20 * MINUTE, 2 * DAY], [5, 5]), group("gone", [1])];
  world.dataPlane.setAges("rooms", { atMs: 77, groups });
  expect(await world.control().ages("rooms")).toEqual({
    service: "rooms",
    nowMs: 77,
    endsMs: [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, DAY],
    releases: [{ release: "v1", state: "current", open: [2, 1, 0, 1, 0, 0, 1], lingering: 2 }],
  });
  world.dataPlane.setLinked(false);
  await clock.advance(1000);
  await expect(world.control().ages("rooms")).rejects.toMatchObject({ code: "LINK_DOWN" });
});

/** Lets control's clock go on until it has answered. */
async function lengths() {
  const asked = world.control().lengths("rooms");
  for (;;) {
    const answer = await Promise.race([asked, clock.advance(1)]);
    if (answer) return answer;
  }
}

test("lengths are not known before enough sessions have ended, and say so", async () => {
  world.dataPlane.setAges("rooms", { atMs: clock.now(), groups: [group("v1", [1000])] });
  expect(await lengths()).toMatchObject({
    known: false,
    ends: 0,
    p50Ms: null,
    p99Ms: null,
    curve: [],
    days: [],
    residual: [{ release: "v1", sessions: 1, known: false, p50Ms: null, curve: [] }],
  });
});

test("lengths are told with how they were on the days before, and how much longer live sessions last", async () => {
  const nowMs = clock.now();
  const exponential = (meanMs: number) => (index: number) => Math.round(-meanMs * Math.log(1 - (index + 0.5) / 200));
  await end(200, exponential(20 * MINUTE), nowMs - DAY);
  await end(200, exponential(10 * MINUTE), nowMs);
  await end(50, () => 1000, nowMs, "cut");
  await end(30, () => MINUTE, nowMs - 15 * DAY);
  world.dataPlane.setAges("rooms", {
    atMs: nowMs,
    groups: [
      group(
        "v1",
        Array.from({ length: 40 }, () => MINUTE),
      ),
    ],
  });
  const told = await lengths();
  expect(told).toMatchObject({ service: "rooms", known: true, ends: 400 });
  const { p50Ms, p95Ms, p99Ms, curve, days, residual } = told;
  expect([p50Ms, p95Ms, p99Ms]).toEqual([p50Ms, p95Ms, p99Ms].toSorted((a, b) => (a ?? 0) - (b ?? 0)));
  expect(p50Ms).toBeGreaterThan(7 * MINUTE);
  expect(curve[0]).toEqual({ ageMs: 0, share: 1 });
  expect(curve.length).toBeLessThanOrEqual(120);
  const today = Math.floor(nowMs / DAY) * DAY;
  expect(days.map(({ dayMs, ends }) => [dayMs, ends])).toEqual([
    [today - DAY, 200],
    [today, 250],
  ]);
  // What was cut is censored: the median of that day is still that of the law.
  expect((days[1]?.p50Ms ?? 0) / (10 * MINUTE * Math.LN2)).toBeCloseTo(1, 1);
  expect((days[0]?.p50Ms ?? 0) / (20 * MINUTE * Math.LN2)).toBeCloseTo(1, 1);
  expect(residual).toHaveLength(1);
  expect(residual[0]).toMatchObject({ release: "v1", sessions: 40, known: true });
  expect(residual[0]?.curve).toHaveLength(60);
  // Ends of today are seen within the minute, those of days before are not looked at again.
  await end(10, () => MINUTE, nowMs);
  await clock.advance(MINUTE);
  expect((await lengths()).days.map(({ ends }) => ends)).toEqual([200, 260]);
  await settled();
});

import { binAges, type AgeGroup, type EndedSession, type SessionEvent } from "@holdover/core";
import { ManualClock, settled } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

/** Control on a clock that stands still: what follows from how long sessions last, and what is done by it. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let clock: ManualClock;
let world: ControlWorld;

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  world = await createControlWorld(
    {
      rooms: definition({
        dir: "/builds/v1",
        instances: 2,
        session: {
          key: [{ query: "room" }],
          linger: "1m",
          label: { name: "kind", from: [{ query: "kind" }], values: ["support", "advisory"] },
        },
        retention: { policy: "budget", disruptionBudget: 0.1, ceiling: "8h", floor: "0s" },
        disconnects: { atOnce: 0.5, period: "1s" },
      }),
    },
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
      const found = world
        .control()
        .status()
        .services[0]?.releases.find(({ id }) => id === release);
      expect(found?.state).toBe(state);
    },
    { timeout: 20_000, interval: 10 },
  );
}

const deploy = (release: string) =>
  world.control().deploy("rooms", { release, dir: `/builds/${release}`, then: { then: "promote" } }, "operator:ana");

let seq = 0;

/** Sessions that have ended a while ago, as a host tells of them. */
function ended(lengthsMs: readonly number[], given: Partial<EndedSession> = {}): SessionEvent[] {
  const nowMs = clock.now();
  return lengthsMs.map((lengthMs, index) => {
    seq += 1;
    const endedAtMs = nowMs - index * 1000;
    return {
      seq,
      atMs: nowMs,
      kind: "ended",
      session: {
        service: "rooms",
        key: `room-${seq}`,
        release: "v1",
        instance: "rooms.v1-1",
        fence: seq,
        openedAtMs: endedAtMs - lengthMs,
        endedAtMs,
        label: null,
        reason: "hangup",
        connectionsClosed: 0,
        ...given,
      },
    };
  });
}

/** 200 lengths of the exponential law with this mean, at its quantiles: no draw, so no chance. */
const exponential = (meanMs: number): number[] =>
  Array.from({ length: 200 }, (_, index) => Math.round(-meanMs * Math.log(1 - (index + 0.5) / 200)));

function group(release: string, agesMs: readonly number[], given: Partial<AgeGroup> = {}): AgeGroup {
  const open = binAges(Float64Array.from(agesMs));
  return { release, instance: null, label: null, open, jobs: 0, lingering: binAges(new Float64Array(0)), ...given };
}

/** Live sessions on both instances of a release, of these ages. */
function live(release: string, agesMs: readonly number[], given: Partial<AgeGroup> = {}): void {
  const half = Math.ceil(agesMs.length / 2);
  world.dataPlane.setSessions(`rooms.${release}-1`, half);
  world.dataPlane.setSessions(`rooms.${release}-2`, agesMs.length - half);
  world.dataPlane.setAges("rooms", { atMs: clock.now(), groups: [group(release, agesMs, given)] });
}

const TEN = Array.from({ length: 10 }, (_, index) => index * MINUTE);

test("while too few sessions have ended nobody can tell, and the deadline is the ceiling", async () => {
  live("v1", TEN);
  const forecast = await world.control().forecast("rooms", "v1");
  expect(forecast).toMatchObject({ sessions: 10, retires: null, left: null, trials: 0 });
  expect(forecast.lengths).toMatchObject({ known: false, ends: 0 });
  await deploy("v2");
  await becomes("v2", "current");
  const retained = world.control().release("rooms", "v1");
  expect(retained.retention).toMatchObject({ policy: "budget", rule: "ceiling", wouldCut: null, fromSessions: 0 });
  expect(retained.retention?.deadlineMs).toBe(retained.sinceMs + 8 * HOUR);
});

describe("once sessions have ended", () => {
  beforeEach(() => world.dataPlane.tell("host", ended(exponential(20 * MINUTE))));

  test("a forecast follows from the residual life of each live one", async () => {
    live("v1", TEN);
    const { retires, left, lengths, nowMs } = await world.control().forecast("rooms", "v1");
    expect(lengths).toMatchObject({ known: true, ends: 200 });
    // One of ten may be cut: the ninth of ten exponential ends is at 20 m × (1/10 + … + 1/2) = 38.6 m on average, and each
    // session keeps its place for its linger of a minute.
    expect((retires?.medianMs ?? 0) - nowMs).toBeGreaterThan(30 * MINUTE);
    expect((retires?.medianMs ?? 0) - nowMs).toBeLessThan(48 * MINUTE);
    expect(left?.[0]).toMatchObject({ atMs: nowMs, low: 10, high: 10 });
    expect(left?.at(-1)?.median).toBeLessThan(1.5);
  });

  test("lengths are told apart by label, where a service names one", async () => {
    await world.dataPlane.tell("host", ended(exponential(2 * MINUTE), { label: "support" }));
    await world.dataPlane.tell("host", ended(exponential(90 * MINUTE), { label: "advisory" }));
    const medianOf = async (label: string): Promise<number> => {
      live("v1", TEN, { label });
      const { retires, nowMs } = await world.control().forecast("rooms", "v1");
      return (retires?.medianMs ?? 0) - nowMs;
    };
    expect(await medianOf("support")).toBeLessThan(8 * MINUTE);
    expect(await medianOf("advisory")).toBeGreaterThan(HOUR);
  });

  test("what was ended on purpose or by a crash would have lasted longer: it shortens no lengths", async () => {
    live("v1", TEN);
    const before = await world.control().forecast("rooms", "v1");
    for (const reason of ["moved", "cut", "lost"] as const) {
      await world.dataPlane.tell("host", ended(Array<number>(60).fill(1000), { reason }));
    }
    const { lengths, retires } = await world.control().forecast("rooms", "v1");
    expect(lengths.ends).toBe(200);
    expect(retires?.medianMs).toBe(before.retires?.medianMs);
  });

  test("a ceiling that comes too soon says whom it will cut", async () => {
    live("v1", TEN);
    await deploy("v2");
    await becomes("v2", "current");
    // 20 minutes on average, one of ten may be cut, and eight hours: 20 s before its end nine are left all the same.
    await clock.advance(8 * HOUR - 20_000);
    live("v1", TEN.slice(0, 9));
    await clock.advance(3000);
    const { retention } = world.control().release("rooms", "v1");
    expect(retention?.rule).toBe("ceiling");
    expect(retention?.wouldCut).toBeGreaterThan(8);
  });

  test("the window waits for the budget, tells its deadline as an event, and moves it when more is known", async () => {
    live("v1", TEN);
    await deploy("v2");
    await becomes("v2", "current");
    await clock.advance(4000);
    const { sinceMs } = world.control().release("rooms", "v1");
    const deadlines = async () =>
      (await world.audit()).flatMap(({ kind, detail }) =>
        kind === "release.deadline" ? [Number(detail?.["toMs"]) - sinceMs] : [],
      );
    // The ceiling before anything was estimated, then the forecast.
    expect((await deadlines())[0]).toBe(8 * HOUR);
    expect((await deadlines()).at(-1)).toBeLessThan(HOUR);
    const before = (await deadlines()).length;
    live("v1", TEN.slice(0, 2));
    await clock.advance(10_000);
    expect((await deadlines()).length).toBeGreaterThan(before);
    expect(world.control().release("rooms", "v1").retention).toMatchObject({ rule: "forecast", wouldCut: 1 });
    live("v1", TEN.slice(0, 1));
    await becomes("v1", "expiring");
  });

  test("a plan tells before a deploy what it would mean", async () => {
    live("v1", TEN);
    const plan = await world.control().deployPlan("rooms");
    expect(plan).toMatchObject({ release: "v1", sessions: 10, allowedCuts: 1, instances: 2, instanceHoursMost: 16 });
    expect(plan.oldLives?.medianMs).toBeGreaterThan(30 * MINUTE);
    expect(plan.cutAtCeiling).toBeLessThan(0.1);
    expect(plan.instanceHours?.median).toBeGreaterThan(0.5);
    expect(plan.hours).toHaveLength(24);
    expect(plan.cheapest?.days).toBeGreaterThan(0);
  });

  test("forecasts are tried, and the outcome corrects later ones, also over a crash of control", async () => {
    live("v1", TEN);
    await clock.advance(6 * MINUTE);
    live("v1", TEN);
    const tried = clock.now();
    // All ten end half a minute later: far sooner than the lengths of the others let one think.
    await clock.advance(30_000);
    await world.restart();
    const events = ended(TEN.map((age) => age + (clock.now() - tried)));
    await world.dataPlane.tell("host", events);
    live("v1", TEN);
    await clock.advance(6 * MINUTE);
    await vi.waitFor(async () => {
      await clock.advance(250);
      expect((await world.control().forecast("rooms", "v1")).trials).toBeGreaterThan(0);
    });
  });
});

describe("a cutover that is prepared", () => {
  const lingers = () =>
    world.dataPlane.tables.flatMap(({ services }) => services[0]?.releases.map(({ lingerMs }) => lingerMs) ?? []);

  test("shrinks the linger in few steps to a sixth, and gives it back when it is called off", async () => {
    const before = world.dataPlane.tables.length;
    const { release } = await world.control().prepare("rooms", { inMs: HOUR }, "operator:ana");
    expect(release).toMatchObject({ lingerMs: MINUTE, preparation: { lingerMs: 10_000 } });
    await clock.advance(HOUR + 1000);
    await settled();
    expect(lingers().at(-1)).toBe(10_000);
    expect(world.dataPlane.tables.length - before).toBeLessThanOrEqual(21);
    expect(lingers()).toEqual(lingers().toSorted((a, b) => b - a));
    await world.control().unprepare("rooms", "operator:ana");
    expect(lingers().at(-1)).toBe(MINUTE);
    const told = (await world.audit()).filter(({ kind }) => kind.includes("prepared"));
    expect(told.map(({ kind, actor }) => [kind, actor])).toEqual([
      ["release.prepared", "operator:ana"],
      ["release.unprepared", "operator:ana"],
    ]);
  });

  test("stays short on the release that is left, and the new one has the normal linger", async () => {
    await world.control().prepare("rooms", { inMs: 1000, lingerMs: 2000 }, "operator");
    await clock.advance(2000);
    live("v1", TEN);
    await deploy("v2");
    await becomes("v2", "current");
    const releases = world.dataPlane.tables.at(-1)?.services[0]?.releases.map(({ id, lingerMs }) => [id, lingerMs]);
    expect(releases).toEqual([
      ["v1", 2000],
      ["v2", MINUTE],
    ]);
  });

  test("is refused where nothing would shrink", async () => {
    await expect(world.control().prepare("rooms", { inMs: 1000, lingerMs: MINUTE }, "operator")).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
  });
});

describe("a rolling restart", () => {
  const settings = { batch: 1, waitMs: 5000 };
  const alive = () => world.alive().toSorted();

  test("replaces every instance, one batch after another, and none before its replacement is ready", async () => {
    const plan = await world.control().restartPlan("rooms", settings);
    expect(plan.batches.map(({ instances }) => instances)).toEqual([["rooms.v1-1"], ["rooms.v1-2"]]);
    await world.control().restart("rooms", settings, "operator:ana");
    const counts: number[] = [];
    await vi.waitFor(
      async () => {
        await clock.advance(250);
        counts.push(
          world
            .control()
            .instances()
            .filter(({ state }) => state === "ready").length,
        );
        expect(world.control().release("rooms", "v1").restart).toBeNull();
      },
      { timeout: 20_000, interval: 10 },
    );
    expect(Math.min(...counts)).toBe(2);
    expect(alive()).toEqual(["rooms.v1-3", "rooms.v1-4"]);
    const told = (await world.audit()).map(({ kind }) => kind).filter((kind) => /restart|replac/.test(kind));
    expect([told[0], told.at(-1)]).toEqual(["release.restarting", "release.restarted"]);
    expect(told).not.toContain("release.restart-cancelled");
  });

  test("waits for the sessions of a batch, has them moved after the wait, and stops the instance when they are gone", async () => {
    world.dataPlane.setSessions("rooms.v1-1", 3);
    await world.control().restart("rooms", settings, "operator");
    const leaving = () =>
      world.dataPlane.tables.at(-1)?.services[0]?.releases[0]?.instances.find(({ id }) => id === "rooms.v1-1");
    await vi.waitFor(
      async () => {
        await clock.advance(250);
        expect(leaving()).toMatchObject({ admission: "existing", ending: null });
      },
      { timeout: 20_000, interval: 10 },
    );
    await clock.advance(5000);
    expect(leaving()).toMatchObject({ admission: "existing", ending: "moved" });
    expect(alive()).toContain("rooms.v1-1");
    world.dataPlane.setSessions("rooms.v1-1", 0);
    await vi.waitFor(
      async () => {
        await clock.advance(250);
        expect(alive()).not.toContain("rooms.v1-1");
      },
      { timeout: 20_000, interval: 10 },
    );
  });

  test("that cannot work is refused with the numbers, and a second one as well", async () => {
    world.dataPlane.setSessions("rooms.v1-1", 100);
    await expect(
      world.control().restart("rooms", { batch: 1, waitMs: 0, graceMs: 1000 }, "operator"),
    ).rejects.toMatchObject({ code: "RESTART_INFEASIBLE" });
    expect(world.control().release("rooms", "v1").restart).toBeNull();
    await world.control().restart("rooms", { batch: 1, waitMs: 0, graceMs: 60_000 }, "operator");
    await expect(world.control().restart("rooms", settings, "operator")).rejects.toMatchObject({
      code: "RESTART_INFEASIBLE",
    });
    await world.control().stopRestart("rooms", "operator");
    expect(world.control().release("rooms", "v1").restart).toBeNull();
    expect((await world.audit()).at(-1)).toMatchObject({ kind: "release.restart-cancelled", actor: "operator" });
  });
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  everyReleaseState,
  KEPT,
  sampleDefinition,
  sampleInstance,
  sampleRelease,
  sampleService,
} from "../test/sample-service.ts";
import { isAlive, type Instance, type InstanceState } from "./instance.ts";
import type { Action } from "./action.ts";
import { plan, type Observed } from "./plan.ts";
import { current, expiring, failed, ramping, ready, retained, retired, starting } from "./release.ts";
import type { DeployIntent, ReleaseRecord, Restart, ServiceRecord } from "./release.ts";
import type { RetentionPolicy } from "./service.ts";
import type { SessionCount } from "./session.ts";

const NOW = 100_000;
const one: SessionCount = { open: 1, lingering: 0, connections: 1, wedged: 0 };
const isReady = (sinceMs = 0): InstanceState => ({ name: "ready", sinceMs });
const isStarting: InstanceState = { name: "starting", sinceMs: 0 };
const isDraining: InstanceState = { name: "draining", sinceMs: 0 };
const lostAt = (atMs: number, error = "INSTANCE_EXITED", problem = "exit code 1"): InstanceState => ({
  name: "lost",
  sinceMs: atMs,
  exit: { atMs, code: 1, signal: null, error, problem },
});

function planned(
  releases: readonly ReleaseRecord[],
  instances: readonly Instance[] | null,
  given: Partial<Observed> & { service?: Partial<ServiceRecord> } = {},
): Action[] {
  const { service, ...observed } = given;
  const services = [sampleService(releases, service)];
  return plan({
    nowMs: NOW,
    services,
    instances,
    sessions: new Map(),
    outlooks: new Map(),
    closing: false,
    ...observed,
  });
}

const start = (ordinal: number) => ({ do: "start", service: "rooms", release: "v1", ordinal });
const stop = (instance: string, why: string) => ({ do: "stop", service: "rooms", instance, graceMs: 10_000, why });
const retention = (policy: RetentionPolicy) => ({ service: { definition: sampleDefinition({ retention: policy }) } });
const warmFor = (floor: number) => retention({ ...KEPT, policy: "until-empty", floor });

describe("rule 3: an instance with a live session is not stopped, and unknown is not zero", () => {
  const exit = { atMs: 60_000, code: 1, signal: null, error: "INSTANCE_EXITED", problem: "exit code 1" };
  const time = fc.constantFrom(0, 40_000, 60_000, 99_999, NOW);
  const instanceState: fc.Arbitrary<InstanceState> = fc.oneof(
    fc.record({ name: fc.constantFrom("starting" as const, "ready" as const, "draining" as const), sinceMs: time }),
    fc.record({ name: fc.constantFrom("stopped" as const, "lost" as const), sinceMs: time, exit: fc.constant(exit) }),
  );
  const span = fc.constantFrom(0, 50_000, 200_000);
  const ceiling = fc.constantFrom(50_000, 200_000);
  const kept = {
    floor: fc.constantFrom(0, 50_000),
    grace: fc.constantFrom(0, 30_000),
    maxRetained: fc.constantFrom(1, 2, 100),
    wedgedAfter: fc.constant(KEPT.wedgedAfter),
    cutWedged: fc.boolean(),
  };
  const policy: fc.Arbitrary<RetentionPolicy> = fc.oneof(
    fc.record({ ...kept, policy: fc.constant("until-empty" as const) }),
    fc.record({ ...kept, policy: fc.constant("fixed" as const), window: span }),
    fc.record({
      ...kept,
      policy: fc.constant("budget" as const),
      disruptionBudget: fc.constantFrom(0, 0.5, 1),
      ceiling,
    }),
    fc.record({
      ...kept,
      policy: fc.constant("quantile" as const),
      quantile: fc.constant(0.95),
      factor: fc.constant(1),
      ceiling,
    }),
  );
  const world = fc
    .record({
      releases: fc.array(
        fc.record({
          state: time.chain((sinceMs) => fc.constantFrom(...Object.values(everyReleaseState(sinceMs)))),
          createdAtMs: time,
          snapshot: fc.constantFrom(null, "/snapshots/x"),
          instances: fc.array(fc.record({ state: instanceState, holds: fc.boolean(), startedAtMs: time }), {
            maxLength: 4,
          }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      policy,
      stranger: fc.boolean(),
    })
    .map(({ releases, policy, stranger }) => {
      const definition = sampleDefinition({ retention: policy, instances: 2 });
      const instances = releases.flatMap(({ instances }, index) =>
        instances.map(({ state, startedAtMs }, ordinal) =>
          sampleInstance(`rooms-v${index}-${ordinal}`, state, { release: `v${index}`, startedAtMs }),
        ),
      );
      const sessions = new Map<string, SessionCount>();
      for (const [index, { instances }] of releases.entries()) {
        for (const [ordinal, { holds }] of instances.entries())
          if (holds) sessions.set(`rooms-v${index}-${ordinal}`, one);
      }
      if (stranger) sessions.set("rooms-v0-99", one);
      const records = releases.map(({ state, createdAtMs, snapshot }, index) =>
        sampleRelease(`v${index}`, state, { createdAtMs, snapshot, definition }),
      );
      const services = [sampleService(records, { definition })];
      return { nowMs: NOW, services, instances, sessions, outlooks: new Map(), closing: false, stranger };
    });

  test("whatever is observed, no instance is stopped that holds a session", () => {
    fc.assert(
      fc.property(world, (world) => {
        for (const action of plan(world)) {
          expect(action.do === "stop" && world.sessions.has(action.instance)).toBe(false);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("whatever is observed, no release retires that has a live instance or a session, known or not", () => {
    fc.assert(
      fc.property(world, (world) => {
        for (const action of plan(world)) {
          if (action.do !== "transition" || action.to.name !== "retired") continue;
          const own = world.instances.filter((one) => one.release === action.release);
          expect(own.filter((one) => isAlive(one) || world.sessions.has(one.id))).toEqual([]);
          expect(world.stranger).toBe(false);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("while the sessions are unknown nothing is stopped and nothing retires", () => {
    fc.assert(
      fc.property(world, (world) => {
        for (const action of plan({ ...world, sessions: null })) {
          expect(action.do === "stop" || (action.do === "transition" && action.to.name === "retired")).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("while the instances are unknown, or the host is closing, nothing is planned at all", () => {
    fc.assert(
      fc.property(world, (world) => {
        expect(plan({ ...world, instances: null })).toEqual([]);
        expect(plan({ ...world, closing: true })).toEqual([]);
      }),
    );
  });

  test("every transition that is planned is one that the release may take", () => {
    fc.assert(
      fc.property(world, (world) => {
        const stateOf = (id: string) => world.services[0]?.releases.find((release) => release.id === id)?.state.name;
        const steps = plan(world).flatMap((action) => {
          if (action.do === "transition") return [`${stateOf(action.release)} → ${action.to.name}`];
          if (action.do === "cutover") return [`${stateOf(action.release)} → current`];
          return action.do === "fail" ? [`${stateOf(action.release)} → failed`] : [];
        });
        const known = new Set([
          "starting → ready",
          "starting → failed",
          "ready → current",
          "retained → expiring",
          "retained → retired",
          "expiring → retired",
        ]);
        expect(steps.filter((step) => !known.has(step))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a starting release", () => {
  const release = sampleRelease("v1", starting(1000), {
    nextOrdinal: 4,
    definition: sampleDefinition({ instances: 2 }),
  });
  const since = { startedAtMs: 2000 };

  test("is copied first of all, and nothing else happens until then", () => {
    expect(planned([{ ...release, snapshot: null }], [])).toEqual([
      { do: "snapshot", service: "rooms", release: "v1" },
    ]);
  });

  test("starts as many instances as are missing, each under the next number", () => {
    expect(planned([release], [])).toEqual([start(4), start(5)]);
    expect(planned([release], [sampleInstance("a", isStarting)])).toEqual([start(4)]);
    expect(planned([release], [sampleInstance("a", isStarting), sampleInstance("b", isReady())])).toEqual([]);
  });

  test("is ready once all its instances are healthy", () => {
    expect(planned([release], [sampleInstance("a", isReady()), sampleInstance("b", isReady())])).toEqual([
      { do: "transition", service: "rooms", release: "v1", to: ready(NOW), why: "2 healthy instances" },
    ]);
  });

  test("tries what sessions keep before its gate runs and before it is ready", () => {
    const definition = sampleDefinition({ gate: { command: ["check"], timeout: 1000 } });
    const release = sampleRelease("v1", starting(0), { definition, formats: null });
    const instances = [sampleInstance("a", { name: "ready", sinceMs: 1 })];
    expect(planned([release], instances)).toEqual([{ do: "formats", service: "rooms", release: "v1" }]);
    expect(planned([{ ...release, definition: sampleDefinition() }], instances)).toEqual([
      { do: "formats", service: "rooms", release: "v1" },
    ]);
    expect(planned([release], [])).toMatchObject([{ do: "start" }]);
  });

  test("passes its gate on the first healthy instance before it is ready", () => {
    const definition = sampleDefinition({ gate: { command: ["check"], timeout: 1000 } });
    const instances = [sampleInstance("a", isReady())];
    expect(planned([{ ...release, definition }], instances)).toEqual([
      { do: "gate", service: "rooms", release: "v1", instance: "a" },
    ]);
    expect(planned([{ ...release, definition, gatePassed: true }], instances)).toEqual([
      { do: "transition", service: "rooms", release: "v1", to: ready(NOW), why: "1 healthy instance, gate passed" },
    ]);
    expect(planned([{ ...release, definition }], [sampleInstance("a", isStarting)])).toEqual([]);
  });

  test("fails when three instances ended before it was healthy, with the words of the last one", () => {
    const lost = [97_000, 99_000, 98_000].map((atMs, index) =>
      sampleInstance(`i${index}`, lostAt(atMs, "INSTANCE_EXITED", `at ${atMs}`), since),
    );
    expect(planned([release], lost.slice(0, 2))).toEqual([start(4), start(5)]);
    expect(planned([release], lost)).toEqual([
      { do: "fail", service: "rooms", release: "v1", instance: "i1", code: "INSTANCE_EXITED", problem: "at 99000" },
    ]);
  });

  test("fails at once when an instance lived and was not healthy in time: another try would take as long", () => {
    const lost = [sampleInstance("a", lostAt(99_000, "INSTANCE_UNHEALTHY", "no answer"), since)];
    expect(planned([release], lost)).toEqual([
      { do: "fail", service: "rooms", release: "v1", instance: "a", code: "INSTANCE_UNHEALTHY", problem: "no answer" },
    ]);
  });

  test("that is deployed again is not failed by what ended before", () => {
    const again = { ...release, createdAtMs: 50_000, state: starting(50_000) };
    const before = [1, 2, 3].map((index) => sampleInstance(`i${index}`, lostAt(49_999), { startedAtMs: 40_000 }));
    expect(planned([again], before)).toEqual([start(4), start(5)]);
  });

  test("is not failed by instances that were stopped on purpose", () => {
    const exit = { atMs: 99_999, code: 0, signal: null, error: null, problem: "" };
    const stopped = [1, 2, 3].map((index) =>
      sampleInstance(`i${index}`, { name: "stopped", sinceMs: 99_999, exit }, since),
    );
    expect(planned([release], stopped)).toEqual([start(4), start(5)]);
  });
});

describe("a ready release", () => {
  const ramp: DeployIntent = { then: "ramp", percent: 5 };
  const wait: DeployIntent = { then: "wait" };
  const instances = [sampleInstance("a", isReady())];

  test("is promoted, ramped or left waiting, as the deploy wanted", () => {
    const at = { service: "rooms", release: "v1" };
    expect(planned([sampleRelease("v1", ready(1))], instances)).toEqual([{ do: "cutover", ...at, why: "deployed" }]);
    expect(planned([sampleRelease("v1", ready(1), { intent: ramp })], instances)).toEqual([
      { do: "transition", ...at, to: ramping(NOW, 5), why: "deployed with a ramp" },
    ]);
    expect(planned([sampleRelease("v1", ready(1), { intent: wait })], instances)).toEqual([]);
  });

  test("gets no traffic while it has no healthy instance, but a new one", () => {
    expect(planned([sampleRelease("v1", ready(1))], [])).toEqual([start(1)]);
    expect(planned([sampleRelease("v1", ready(1))], [sampleInstance("a", isStarting)])).toEqual([]);
  });
});

describe("an instance that ended by itself is started again", () => {
  const release = sampleRelease("v1", current(0));
  const lost = (count: number, lastMs: number) =>
    Array.from({ length: count }, (_, index) => sampleInstance(`i${index}`, lostAt(lastMs - (count - 1 - index) * 10)));

  test.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [4, 1600],
    [5, 3200],
    [6, 6400],
    [7, 12_800],
    [8, 25_600],
    [9, 30_000],
    [10, 30_000],
    [40, 30_000],
  ])("after %d failures in a row exactly %d ms later, and not a millisecond before", (count, waitMs) => {
    expect(planned([release], lost(count, 50_000), { nowMs: 50_000 + waitMs - 1 })).toEqual([]);
    expect(planned([release], lost(count, 50_000), { nowMs: 50_000 + waitMs })).toEqual([start(1)]);
  });

  test("with a back-off from the beginning when it had been ready for a minute", () => {
    const sound = sampleInstance("s", lostAt(90_000), { readyAtMs: 30_000 });
    const nearly = sampleInstance("s", lostAt(90_000), { readyAtMs: 30_001 });
    const before = lost(4, 20_000);
    expect(planned([release], [...before, sound], { nowMs: 90_199 })).toEqual([]);
    expect(planned([release], [...before, sound], { nowMs: 90_200 })).toEqual([start(1)]);
    expect(planned([release], [...before, nearly], { nowMs: 93_199 })).toEqual([]);
    expect(planned([release], [...before, nearly], { nowMs: 93_200 })).toEqual([start(1)]);
  });

  test("counting failures in the order in which they happened, whatever the order of the list", () => {
    const sound = sampleInstance("s", lostAt(90_000), { readyAtMs: 1 });
    const instances = [sound, ...lost(4, 20_000)];
    expect(planned([release], instances, { nowMs: 90_199 })).toEqual([]);
    expect(planned([release], instances, { nowMs: 90_200 })).toEqual([start(1)]);
  });

  test("for a ramping release as for a current one", () => {
    const at = { nowMs: 50_200 };
    expect(planned([sampleRelease("v1", ramping(0, 5))], lost(1, 50_000), at)).toEqual([start(1)]);
  });

  test("while its healthy neighbours go on, and no more than are missing", () => {
    const definition = sampleDefinition({ instances: 3 });
    const instances = [sampleInstance("a", isReady()), ...lost(1, 50_000)];
    expect(planned([{ ...release, definition, nextOrdinal: 9 }], instances)).toEqual([start(9), start(10)]);
  });

  test("and one that is draining does not count as running", () => {
    expect(planned([release], [sampleInstance("a", isDraining)])).toEqual([start(1)]);
  });
});

describe("a retained release", () => {
  const release = sampleRelease("v1", retained(NOW - 1000, 2));
  const [a, b] = [sampleInstance("a", isReady()), sampleInstance("b", isReady())];
  const on = (...ids: string[]) => ({ sessions: new Map(ids.map((id) => [id, one])) });

  test("stops its instances one by one as they empty", () => {
    expect(planned([release], [a, b], on("a", "b"))).toEqual([]);
    expect(planned([release], [a, b], on("a"))).toEqual([stop("b", "it is empty")]);
    expect(planned([release], [a, b], on())).toEqual([stop("a", "it is empty"), stop("b", "it is empty")]);
  });

  test("retires once it has neither a session nor an instance, and says how long that took", () => {
    const exit = { atMs: NOW, code: 0, signal: null, error: null, problem: "" };
    const stopped = sampleInstance("a", { name: "stopped", sinceMs: NOW, exit });
    expect(planned([release], [sampleInstance("a", isDraining)])).toEqual([]);
    expect(planned([release], [stopped])).toEqual([
      {
        do: "transition",
        service: "rooms",
        release: "v1",
        to: retired(NOW),
        why: "no session and no instance left after 1s",
      },
    ]);
    expect(planned([release], [stopped], on("a"))).toEqual([]);
  });

  test("does not retire while there are sessions on an instance that the platform does not know", () => {
    expect(planned([release], [], on("rooms-v1-7"))).toEqual([]);
  });

  test("keeps one instance warm within its floor, and starts it again when it dies", () => {
    expect(planned([release], [a, b], warmFor(5000))).toEqual([stop("a", "it is empty")]);
    expect(planned([release], [a], warmFor(5000))).toEqual([]);
    expect(planned([release], [sampleInstance("a", lostAt(NOW - 300))], warmFor(5000))).toEqual([start(1)]);
    expect(planned([release], [a], warmFor(1000))).toEqual([stop("a", "it is empty")]);
  });

  test("keeps the instance warm that is ready, whatever else still starts or drains", () => {
    expect(planned([release], [a, sampleInstance("b", isDraining)], warmFor(5000))).toEqual([]);
    expect(planned([release], [sampleInstance("b", isDraining), a], warmFor(5000))).toEqual([]);
    expect(planned([release], [a, sampleInstance("b", isStarting)], warmFor(5000))).toEqual([stop("b", "it is empty")]);
  });

  test("does not stop an empty instance more than once: one that drains is left to end", () => {
    expect(planned([release], [sampleInstance("a", isDraining)])).toEqual([]);
  });

  test("expires with its fixed window: what is left has the grace to move", () => {
    const policy = (window: number) => retention({ ...KEPT, policy: "fixed", window, floor: 0, grace: 700 });
    expect(planned([release], [a], { ...policy(1001), ...on("a") })).toEqual([
      { do: "deadline", service: "rooms", release: "v1", deadlineMs: NOW + 1, why: "fixed window of 1s" },
    ]);
    expect(planned([release], [a], { ...policy(1000), ...on("a") })).toEqual([
      { do: "transition", service: "rooms", release: "v1", to: expiring(NOW, NOW + 700), why: "fixed window of 1s" },
    ]);
  });

  test("is looked at with the next plan where a cutover is planned, which may bring another policy into force", () => {
    const next = sampleRelease("v2", ready(NOW), { intent: { then: "promote" } });
    const instances = [a, sampleInstance("b", isReady(), { release: "v2" })];
    const over = retention({ ...KEPT, policy: "fixed", window: 10, floor: 0 });
    expect(planned([release, next], instances, { ...over, ...on("a") })).toEqual([
      { do: "cutover", service: "rooms", release: "v2", why: "deployed" },
    ]);
  });

  test("follows the policy that is in force for the service now, not the one it was deployed with", () => {
    const definition = sampleDefinition({ retention: { ...KEPT, policy: "fixed", window: 1, floor: 0 } });
    expect(planned([{ ...release, definition }], [a], on("a"))).toEqual([]);
  });
});

describe("the deadline of a retained release", () => {
  const a = sampleInstance("a", isReady());
  const holds = { sessions: new Map([["a", one]]) };
  const policy = retention({ ...KEPT, policy: "fixed", window: 5000, floor: 0 });
  const said = (deadlineMs: number | null) =>
    sampleRelease("v1", { name: "retained", sinceMs: NOW - 1000, live: 1, deadlineMs });
  const deadline = {
    do: "deadline",
    service: "rooms",
    release: "v1",
    deadlineMs: NOW + 4000,
    why: "fixed window of 5s",
  };

  test("is told when it is first known, and then when it moves by more than a tenth of the window", () => {
    expect(planned([said(null)], [a], { ...policy, ...holds })).toEqual([deadline]);
    expect(planned([said(NOW + 4000)], [a], { ...policy, ...holds })).toEqual([]);
    expect(planned([said(NOW + 3600)], [a], { ...policy, ...holds })).toEqual([]);
    expect(planned([said(NOW + 3000)], [a], { ...policy, ...holds })).toEqual([deadline]);
  });

  test("is not there until-empty", () => {
    expect(planned([said(null)], [a], { ...warmFor(0), ...holds })).toEqual([]);
  });

  test("comes at once for the oldest of more releases than may be retained, with the grace", () => {
    const releases = [1, 2, 3].map((n) => sampleRelease(`v${n}`, retained(NOW - 10 * n, 1), { currentAtMs: n }));
    const most = retention({ ...KEPT, policy: "until-empty", floor: 0, maxRetained: 2 });
    const on = [1, 2, 3].map((n) => sampleInstance(`on-v${n}`, isReady(), { release: `v${n}` }));
    const all = { sessions: new Map(on.map(({ id }) => [id, one])) };
    expect(planned(releases, on, { ...most, ...all })).toEqual([
      {
        do: "transition",
        service: "rooms",
        release: "v1",
        to: expiring(NOW, NOW + 30_000),
        why: "2 releases may be retained, and it is the oldest",
      },
    ]);
    // One of the others has retired by itself: there is room.
    expect(
      planned(releases, on.slice(0, 2), {
        ...most,
        ...all,
        sessions: new Map([
          ["on-v1", one],
          ["on-v2", one],
        ]),
      }),
    ).toEqual([expect.objectContaining({ do: "transition", release: "v3", to: retired(NOW) })]);
  });
});

describe("a rolling restart", () => {
  const restart = { sinceMs: 0, batch: 1, waitMs: 500, graceMs: 200, waiting: ["b"], leaving: ["a"] };
  const definition = sampleDefinition({ instances: 2 });
  const release = (given: Partial<Restart>): ReleaseRecord =>
    sampleRelease("v1", current(1), {
      definition,
      nextOrdinal: 3,
      restart: { ...restart, leavingSinceMs: null, ...given },
    });
  const [a, b, c] = ["a", "b", "c"].map((id) => sampleInstance(id, isReady())) as [Instance, Instance, Instance];
  const step = (given: Partial<Restart> | null, why: string) => ({
    do: "restart",
    service: "rooms",
    release: "v1",
    restart: given && { ...restart, leavingSinceMs: null, ...given },
    why,
  });

  test("starts the replacement first, and only then lets the batch take no new session", () => {
    expect(planned([release({})], [a, b])).toEqual([start(3)]);
    expect(planned([release({})], [a, b, sampleInstance("c", isStarting)])).toEqual([]);
    expect(planned([release({})], [a, b, c])).toEqual([
      step({ leavingSinceMs: NOW }, "a: replaced, no new session any more"),
    ]);
  });

  test("stops the batch as it empties, and no other instance", () => {
    const leaving = release({ leavingSinceMs: NOW - 10 });
    expect(planned([leaving], [a, b, c], { sessions: new Map([["a", one]]) })).toEqual([]);
    expect(planned([leaving], [a, b, c])).toEqual([stop("a", "it is replaced")]);
  });

  test("goes on with the next batch when the last of it has ended, and is over with the last batch", () => {
    expect(planned([release({ leavingSinceMs: NOW - 10 })], [b, c])).toEqual([
      step({ waiting: [], leaving: ["b"] }, "b: next to be replaced"),
    ]);
    expect(planned([release({ waiting: [], leaving: ["b"], leavingSinceMs: 7 })], [a, c])).toEqual([
      step(null, "all instances are replaced"),
    ]);
  });

  test("that was cut short leaves no more instances than are wanted: an empty one is stopped, one with a session is not", () => {
    const after = sampleRelease("v1", current(1), { definition, nextOrdinal: 4 });
    const holding = (...ids: string[]) => ({ sessions: new Map(ids.map((id) => [id, one])) });
    expect(planned([after], [a, b, c], holding("a", "c"))).toEqual([stop("b", "2 are wanted")]);
    expect(planned([after], [a, b, c], holding("a", "b", "c"))).toEqual([]);
    expect(planned([after], [a, b, c], { sessions: null })).toEqual([]);
    expect(planned([after], [a, b], holding())).toEqual([]);
  });

  test("passes over what has died by itself", () => {
    expect(planned([release({ waiting: ["gone"], leaving: ["dead"] })], [b, c])).toEqual([
      step(null, "all instances are replaced"),
    ]);
  });
});

describe("an expiring release", () => {
  const release = sampleRelease("v1", expiring(NOW - 1000, NOW + 1000));
  const a = sampleInstance("a", isReady());

  test("stops what is empty, and leaves what holds sessions, even after its grace: the router cuts them first", () => {
    expect(planned([release], [a])).toEqual([stop("a", "its window is over")]);
    expect(planned([release], [a], { sessions: new Map([["a", one]]), nowMs: NOW + 5000 })).toEqual([]);
  });

  test("starts no instance, and retires once nothing is left", () => {
    expect(planned([release], [])).toEqual([
      expect.objectContaining({ do: "transition", to: retired(NOW), release: "v1" }),
    ]);
  });
});

describe("a retired or failed release", () => {
  const failure = { code: "GATE_FAILED", problem: "no", log: [] };

  test.each([
    [retired(1), "release v1 is retired"],
    [failed(1, failure), "release v1 is failed"],
  ])("stops whatever of it still runs without a session: $name", (state, why) => {
    const instances = [sampleInstance("a", isReady()), sampleInstance("b", isStarting), sampleInstance("c", isReady())];
    expect(planned([sampleRelease("v1", state)], instances, { sessions: new Map([["c", one]]) })).toEqual([
      stop("b", why),
      stop("a", why),
    ]);
  });

  test("keeps its snapshot while it is one of the last three, or while an instance runs from it", () => {
    const gone = [5, 1, 4, 2, 3].map((sinceMs) => sampleRelease(`v${sinceMs}`, retired(sinceMs)));
    const removed = (instances: readonly Instance[]) =>
      planned(gone, instances).flatMap((action) => (action.do === "remove-snapshot" ? [action.release] : []));
    expect(removed([])).toEqual(["v2", "v1"]);
    expect(removed([sampleInstance("a", isReady(), { release: "v1" })])).toEqual(["v2"]);
    expect(
      planned([...gone.slice(0, 2), sampleRelease("v9", failed(9, failure)), sampleRelease("v8", current(8))], []),
    ).not.toContainEqual(expect.objectContaining({ do: "remove-snapshot" }));
  });

  test("has its snapshot removed once: what has none is passed over", () => {
    const gone = [1, 2, 3, 4].map((sinceMs) =>
      sampleRelease(`v${sinceMs}`, retired(sinceMs), sinceMs === 1 ? { snapshot: null } : {}),
    );
    expect(planned(gone, [])).toEqual([]);
  });
});

test("services are planned apart: an instance of one is none of another's with the same release", () => {
  const services = ["rooms", "chat"].map((name) => sampleService([sampleRelease("v1", current(0))], { name }));
  const instances = [sampleInstance("rooms-v1-1", isReady())];
  expect(plan({ nowMs: NOW, services, instances, sessions: new Map(), outlooks: new Map(), closing: false })).toEqual([
    { do: "start", service: "chat", release: "v1", ordinal: 1 },
  ]);
});

import { HoldoverError, type RoutingTable } from "@holdover/core";
import { describe, expect, test, vi } from "vitest";
import { readSchedule, scheduleOf, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { storyOf } from "./story.ts";
import type { Broken, RuleName } from "./verdict.ts";
import { World, type Outcome, type Parts } from "./world.ts";

const run = (schedule: Schedule, parts?: Parts): Promise<Outcome> => new World(schedule, parts).run();

test("fifty schedules of crashes, losses and deploys break no rule, and come to rest", async () => {
  const total = { placed: 0, placedAnew: 0, placedAlone: 0, closings: 0, deploys: 0, crashes: 0 };
  for (let seed = 1; seed <= 50; seed++) {
    const outcome = await run(scheduleOf(seed));
    expect([seed, outcome.broken]).toEqual([seed, null]);
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += outcome[name];
  }
  // What did not happen was not tested.
  for (const [name, count] of Object.entries(total)) expect([name, count > 20]).toEqual([name, true]);
});

test("a seed runs the same every time, and takes no time but its own", async () => {
  const timers = [vi.spyOn(globalThis, "setTimeout"), vi.spyOn(globalThis, "setInterval"), vi.spyOn(Date, "now")];
  const [once, again] = [await run(scheduleOf(7)), await run(scheduleOf(7))];
  expect(again).toEqual(once);
  for (const timer of timers) {
    expect(timer).not.toHaveBeenCalled();
    timer.mockRestore();
  }
  expect((await run(scheduleOf(8))).head).not.toBe(once.head);
});

test("what is no schedule is refused in words", () => {
  const schedule = scheduleOf(1);
  expect(() => readSchedule("{}")).toThrow("this is no schedule");
  expect(() => readSchedule("null")).toThrow("this is no schedule");
  expect(() => readSchedule(JSON.stringify({ ...schedule, services: [] }))).toThrow("one service");
  expect(() => readSchedule(JSON.stringify({ ...schedule, steps: [{ atMs: 1, do: "nothing" }] }))).toThrow("step 1");
});

const tables = (change: (table: RoutingTable) => RoutingTable): Parts => ({ table: change });

/** One part of each is broken on purpose, and the rule is named that it breaks. */
const BROKEN: readonly (readonly [what: string, rule: RuleName, parts: Parts])[] = [
  [
    "a store that answers another place than it stored",
    "one-pin",
    {
      pins: (store) => ({
        ...store,
        place: async (...told) => {
          const pin = await store.place(...told);
          return { ...pin, instance: pin.instance.replace(/-1$/, "-2") };
        },
      }),
    },
  ],
  [
    "a router that takes new sessions on retained releases",
    "admission",
    tables((table) => ({
      ...table,
      services: table.services.map((service) => ({
        ...service,
        releases: service.releases.map((release) => ({ ...release, admission: "new", percent: 100 })),
      })),
    })),
  ],
  ["a router that gives up instances in use", "stop", { release: () => ({ released: true }) }],
  [
    "a router that cuts what may finish",
    "stop",
    tables((table) => ({
      ...table,
      services: table.services.map((service) => ({
        ...service,
        releases: service.releases.map((release) => ({
          ...release,
          ending: release.admission === "existing" ? "cut" : release.ending,
        })),
      })),
    })),
  ],
  ["a store whose fences begin anew", "fence", { hostCrashed: ({ store }) => void (store.fence = 0) }],
  [
    "a cutover that takes the old release's instances for dead",
    "pin-kept",
    {
      tableInForce: ({ host }) => {
        for (const { releases } of host?.sessions.table().services ?? []) {
          for (const { admission, instances } of releases) {
            if (admission === "existing") for (const { id } of instances) void host?.sessions.lose(id);
          }
        }
      },
    },
  ],
  [
    "a router without a cap",
    "disconnect-cap",
    tables((table) => ({
      ...table,
      services: table.services.map((service) => ({ ...service, disconnects: { atOnce: 1, periodMs: 1 } })),
    })),
  ],
  [
    "releases that change without an entry",
    "audit",
    {
      control: (ports) => ({
        ...ports,
        releases: { ...ports.releases, saveServices: (services) => ports.releases.saveServices(services, []) },
      }),
    },
  ],
  [
    "instances that change without an entry",
    "audit",
    {
      control: (ports) => ({
        ...ports,
        releases: { ...ports.releases, saveInstances: (instances) => ports.releases.saveInstances(instances, []) },
      }),
    },
  ],
  [
    "cuts without an entry",
    "audit",
    {
      control: (ports) => ({
        ...ports,
        history: { ...ports.history, record: (host, events) => ports.history.record(host, events, () => []) },
      }),
    },
  ],
  [
    "a router that places nobody while control is down",
    "serves",
    {
      pins: (store, world) => ({
        ...store,
        place: async (...told) => {
          if (!world.controlIsUp()) throw new HoldoverError("STORE_FAILED", { file: "disk", problem: "no control" });
          return store.place(...told);
        },
      }),
    },
  ],
  [
    "a host that forgets its table in a crash",
    "serves",
    { hostCrashed: ({ store }) => store.tables().save({ number: 0, services: [] }) },
  ],
  [
    "a store that forgets a pin in a crash",
    "durable-pin",
    {
      hostCrashed: ({ store }) => {
        const last = [...store.held.keys()].at(-1);
        if (last !== undefined) store.held.delete(last);
      },
    },
  ],
  [
    "a store that throws what is no error of the table",
    "sound",
    { pins: (store) => ({ ...store, end: () => Promise.reject(new TypeError("x is not a function")) }) },
  ],
  ["a platform that stops nothing", "converges", { platform: (platform) => ({ ...platform, stop: async () => {} }) }],
  [
    "a history that loses ends",
    "converges",
    {
      control: (ports) => ({
        ...ports,
        history: { ...ports.history, record: async (_, events) => events.at(-1)?.seq ?? 0 },
      }),
    },
  ],
];

/** The first seed that breaks a rule, whichever. */
async function firstBroken(parts: Parts): Promise<{ schedule: Schedule; broken: Broken }> {
  for (let seed = 1; seed <= 60; seed++) {
    const schedule = scheduleOf(seed);
    const { broken } = await run(schedule, parts);
    if (broken) return { schedule, broken };
  }
  throw new Error("no seed breaks a rule");
}

describe("With a part that is broken a rule is, and the least schedule that shows it is short and replays:", () => {
  test.each(BROKEN)("%s", async (_, rule, parts) => {
    const { schedule, broken } = await firstBroken(parts);
    expect(broken.rule).toBe(rule);
    const least = await shrink(schedule, broken, async (shorter) => (await run(shorter, parts)).broken);
    expect(least.schedule.steps.length).toBeLessThanOrEqual(8);
    expect(storyOf(least.schedule).length).toBeGreaterThanOrEqual(least.schedule.steps.length);
    const replayed = await run(readSchedule(JSON.stringify(least.schedule)), parts);
    expect(replayed.broken).toEqual(least.failure);
    // What is found is the part's doing.
    expect((await run(least.schedule)).broken).toBeNull();
  });
});

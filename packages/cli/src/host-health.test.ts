import { ManualClock } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { watchHealth, type HealthWatch } from "./host-health.ts";

let clock: ManualClock;
let watch: HealthWatch;
let waiting = (): number => 3;
beforeEach(() => {
  clock = new ManualClock();
  watch = watchHealth({
    store: {
      health: () => ({ bytes: 4096, failures: 1, problem: null }),
      waitingEvents: () => waiting(),
      droppedEvents: () => 2,
    },
    sessionsMost: 10,
    clock,
  });
});
afterEach(() => watch.stop());

/** Holds the event loop up. */
function block(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** Resolves when the loop has come round, and the delay has been seen. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 50));

test("tells of this process as the system does", () => {
  const health = watch.read(4);
  expect(Math.abs(health.startedAtMs - (Date.now() - process.uptime() * 1000))).toBeLessThan(1000);
  const { user, system } = process.cpuUsage();
  expect(health.cpuS).toBeGreaterThan(0);
  expect(health.cpuS).toBeLessThanOrEqual((user + system) / 1e6);
  expect(health.residentBytes).toBeGreaterThan(health.heapUsedBytes);
  expect(health).toMatchObject({
    store: { bytes: 4096, failures: 1, problem: null },
    events: { waiting: 3, dropped: 2 },
    links: 4,
    sessionsMost: 10,
  });
});

test("an event loop that is held up is seen, and forgotten half a minute after the half minute in which it was", async () => {
  await turn();
  block(300);
  await turn();
  const held = watch.read(1).loopLag;
  expect(held.maxS).toBeGreaterThan(0.2);
  expect(held.p50S).toBeLessThan(0.2);
  // The window is over: it is told for as long as the next one is under way.
  await clock.advance(30_000);
  expect(watch.read(1).loopLag.maxS).toBeGreaterThan(0.2);
  await turn();
  await clock.advance(29_000);
  expect(watch.read(1).loopLag.maxS).toBeGreaterThan(0.2);
  await clock.advance(1000);
  expect(watch.read(1).loopLag.maxS).toBeLessThan(0.2);
});

test("a store that does not tell how many events wait leaves the rest whole", () => {
  waiting = () => {
    throw new Error("disk full");
  };
  expect(watch.read(1)).toMatchObject({ events: null, store: { failures: 1 } });
});

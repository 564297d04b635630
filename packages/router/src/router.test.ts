import type { RoutingTable } from "@holdover/core";
import { expect, test } from "vitest";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { noWorkers } from "../test/no-workers.ts";
import { createRouter } from "./router.ts";

const table: RoutingTable = {
  number: 1,
  services: [
    {
      name: "rooms",
      hosts: [],
      path: "/",
      key: [{ query: "room" }],
      label: null,
      disconnects: { atOnce: 1, periodMs: 1000 },
      lingerMs: 60_000,
      connectionAge: null,
      releases: [
        {
          id: "v1",
          admission: "new",
          percent: 100,
          ending: null,
          lingerMs: 60_000,
          deadlineMs: null,
          wedged: null,
          instances: [{ id: "v1-1", host: "127.0.0.1", port: 1, capacity: null, admission: "new", ending: null }],
        },
      ],
    },
  ],
};

test.for([
  ["a router that gives up before it was to shut down", false, 1, []],
  ["a router that shuts down", true, 0, ["cut"]],
] as const)("what becomes of lingering sessions with %s", async ([, closing, pins, reasons]) => {
  const store = new MemoryPinStore();
  await store.place(
    { service: "rooms", key: "a", release: "v1", instance: "v1-1", openedAtMs: 1, label: null },
    null,
    1,
  );
  const router = await createRouter({
    pins: store,
    tableCache: { save: () => {}, load: () => table },
    clock: new ManualClock(),
    limits: { sessions: 10, headBytes: 16_384, headTimeoutMs: 1000 },
    trustForwarded: false,
    accessLog: false,
    secret: Buffer.alloc(32),
    look: () => Promise.resolve(),
    workers: noWorkers(),
    changed: () => {},
    log: () => {},
  });
  if (closing) router.startClosing("finish");
  expect(await router.close()).toBe(reasons.length);
  expect(await store.pins()).toHaveLength(pins);
  expect((await store.events(10)).map((event) => event.kind === "ended" && event.session.reason)).toEqual(reasons);
});

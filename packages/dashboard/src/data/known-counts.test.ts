import type { StatusView } from "@holdover/control/api";
import { expect, test } from "vitest";
import { knownCounts } from "./known-counts.ts";

const sessions = { open: 3, lingering: 0, connections: 3, wedged: 0 };
const retention = { why: "budget of 0", wouldCut: 2, retires: { medianMs: 1 } };
const view = (linked: boolean) =>
  ({
    router: { linked },
    services: [
      { name: "rooms", sessions, releases: [{ id: "v1", sessions, retention, instances: [{ id: "a", sessions }] }] },
    ],
  }) as unknown as StatusView;

test("while the host is not linked no count is known, whatever number stands in the status", () => {
  const { services } = knownCounts(view(false));
  const unknown = { why: "budget of 0", wouldCut: null, retires: null };
  expect(services).toEqual([
    {
      name: "rooms",
      sessions: null,
      releases: [{ id: "v1", sessions: null, retention: unknown, instances: [{ id: "a", sessions: null }] }],
    },
  ]);
});

test("while it is linked every count stays as it was told", () => {
  expect(knownCounts(view(true))).toEqual(view(true));
});

import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { expect, test } from "vitest";
import { situationOf } from "./situation.ts";

const NOW = new Date(2026, 10, 25, 12, 0).getTime();
const MIN = 60_000;

function release(id: string, state: ReleaseView["state"], more: Partial<ReleaseView> = {}): ReleaseView {
  return {
    id,
    service: "rooms",
    state,
    sinceMs: NOW - MIN,
    createdAtMs: NOW - MIN,
    currentAtMs: 0,
    admission: "none",
    percent: 0,
    then: "promote",
    dir: "/srv",
    digest: null,
    instancesWanted: 2,
    instances: [],
    sessions: { open: 0, lingering: 0, connections: 0, wedged: 0 },
    lingerMs: MIN,
    preparation: null,
    restart: null,
    retention: null,
    problem: null,
    failure: null,
    ...more,
  };
}

function told(releases: ReleaseView[], linked = true): string[] {
  const current = releases.find(({ state }) => state === "current")?.id ?? null;
  const service: ServiceView = { name: "rooms", hosts: [], path: "/", current, sessions: null, releases };
  return situationOf(service, linked, NOW).map(({ text }) => text);
}

const live = (open: number): ReleaseView["sessions"] => ({ open, lingering: 0, connections: open, wedged: 0 });
const retention: NonNullable<ReleaseView["retention"]> = {
  policy: "budget",
  rule: "forecast",
  deadlineMs: NOW + 60 * MIN,
  hardStopMs: NOW + 600 * MIN,
  floorUntilMs: 0,
  fromSessions: 100,
  wouldCut: 0,
  retires: { lowMs: NOW + 10 * MIN, medianMs: NOW + 20 * MIN, highMs: NOW + 40 * MIN, known: true },
  why: "budget of 0",
};

test("a calm service is one sentence", () => {
  expect(told([release("v1", "retired"), release("v2", "current")])).toEqual(["New sessions start on v2."]);
});

test("a deploy under way tells who takes new sessions, and how long the old release goes on", () => {
  expect(
    told([
      release("v1", "retained", { sessions: live(12), retention }),
      release("v2", "current"),
      release("v3", "starting", { then: "wait" }),
    ]),
  ).toEqual([
    "New sessions start on v2.",
    "v3 is starting: 0 of 2 instances healthy, then it waits for your word.",
    "v1 lets 12 sessions finish, probably until 12:20 (12:10 to 12:40); nobody is expected to be cut.",
  ]);
});

test("a count that nobody knows is never told as a number", () => {
  const [first, , second] = told(
    [release("v1", "retained", { sessions: null, retention }), release("v2", "current", { sessions: null })],
    false,
  );
  expect(first).toMatch(/no link to the host/);
  expect(second).toBe("v1 is retained; how many sessions it has is not known.");
});

test("whom a window is expected to cut is told, and so is that nobody can tell", () => {
  const of = (wouldCut: number | null) =>
    told([
      release("v1", "retained", { sessions: live(5), retention: { ...retention, wouldCut, retires: null } }),
      release("v2", "current"),
    ])[1];
  expect(of(0.4)).toBe("v1 lets 5 sessions finish; its window is expected to cut 0.4.");
  expect(of(null)).toBe("v1 lets 5 sessions finish; how many its window would cut is not known.");
});

test("no current release is told as what it is: new sessions are refused", () => {
  expect(told([release("v1", "retained", { retention })])[0]).toBe("No release is current: new sessions are refused.");
  expect(told([])).toEqual(["Nothing has been deployed yet."]);
});

test("many retained releases are told of together", () => {
  const retained = Array.from({ length: 20 }, (_, index) =>
    release(`v${index}`, "retained", { sessions: live(3), retention }),
  );
  expect(told([...retained, release("v20", "current")])).toEqual([
    "New sessions start on v20.",
    "20 older releases let 60 sessions finish, the last probably until 12:20; nobody is expected to be cut.",
  ]);
});

test("a failure is told for as long as its release is the newest one", () => {
  const failure = { code: "RELEASE_UNHEALTHY", problem: "no instance was healthy.", log: [] };
  expect(told([release("v1", "current"), release("v2", "failed", { failure })])[1]).toBe(
    "v2 failed: no instance was healthy.",
  );
  expect(told([release("v1", "failed", { failure }), release("v2", "current")])).toEqual(["New sessions start on v2."]);
});

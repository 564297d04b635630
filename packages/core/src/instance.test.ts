import { describe, expect, test } from "vitest";
import { sampleInstance } from "../test/sample-service.ts";
import { isAlive, toInstanceState, type InstanceState, type InstanceStateName } from "./instance.ts";

const exit = { atMs: 9, code: 1, signal: null, error: "INSTANCE_EXITED", problem: "exit code 1" };
const states = (sinceMs: number): Record<InstanceStateName, InstanceState> => ({
  starting: { name: "starting", sinceMs },
  ready: { name: "ready", sinceMs },
  draining: { name: "draining", sinceMs },
  stopped: { name: "stopped", sinceMs, exit },
  lost: { name: "lost", sinceMs, exit },
});

/** DESIGN, States: starting → ready → draining → stopped, or lost; one that still starts can be stopped as well. */
const STEPS: Record<InstanceStateName, readonly InstanceStateName[]> = {
  starting: ["ready", "draining", "lost"],
  ready: ["draining", "lost"],
  draining: ["stopped", "lost"],
  stopped: [],
  lost: [],
};
const NAMES = Object.keys(STEPS) as InstanceStateName[];
const PAIRS = NAMES.flatMap((from) => NAMES.map((to) => ({ from, to, allowed: STEPS[from].includes(to) })));

describe("an instance goes only from one state of DESIGN to the next", () => {
  test.each(PAIRS.filter((pair) => pair.allowed))("$from becomes $to", ({ from, to }) => {
    const instance = sampleInstance("rooms-v1-1", states(1)[from], { readyAtMs: 1 });
    expect(toInstanceState(instance, states(5)[to])).toEqual({
      ...instance,
      state: states(5)[to],
      readyAtMs: to === "ready" ? 5 : 1,
    });
  });

  test.each(PAIRS.filter((pair) => !pair.allowed))("$from is refused to become $to", ({ from, to }) => {
    const instance = sampleInstance("rooms-v1-1", states(1)[from]);
    expect(() => toInstanceState(instance, states(5)[to])).toThrow(
      `instance rooms-v1-1 is ${from} and cannot become ${to}`,
    );
  });
});

test("a process may be behind an instance until it is stopped or lost", () => {
  expect(NAMES.filter((name) => isAlive(sampleInstance("i", states(1)[name])))).toEqual([
    "starting",
    "ready",
    "draining",
  ]);
});

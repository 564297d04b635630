import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf, everyReleaseState, sampleRelease, sampleService } from "../test/sample-service.ts";
import {
  admissionOf,
  current,
  currentRelease,
  cutover,
  expiring,
  mayBecome,
  previousRelease,
  ramping,
  ready,
  releaseOf,
  retained,
  retired,
  starting,
  transition,
  withRelease,
  type ReleaseStateName,
} from "./release.ts";

/** DESIGN, States, written out once more: row → columns it may become. */
const STEPS: Record<ReleaseStateName, readonly ReleaseStateName[]> = {
  starting: ["ready", "failed", "retired"],
  ready: ["ramping", "current", "retired"],
  ramping: ["ramping", "current", "retained"],
  current: ["retained"],
  retained: ["ramping", "current", "expiring", "retired"],
  expiring: ["retired"],
  retired: ["starting"],
  failed: ["starting"],
};
const NAMES = Object.keys(STEPS) as ReleaseStateName[];
const PAIRS = NAMES.flatMap((from) => NAMES.map((to) => ({ from, to, allowed: STEPS[from].includes(to) })));

describe("a release goes only from one state of DESIGN to the next", () => {
  test.each(PAIRS.filter((pair) => pair.allowed))("$from becomes $to", ({ from, to }) => {
    const release = sampleRelease("v1", everyReleaseState(10)[from]);
    const after = transition(release, everyReleaseState(20)[to]);
    expect(mayBecome(from, to)).toBe(true);
    expect(after).toEqual({
      ...release,
      state: everyReleaseState(20)[to],
      currentAtMs: to === "current" ? 20 : 0,
    });
    expect(release.state.name).toBe(from);
  });

  test.each(PAIRS.filter((pair) => !pair.allowed))("$from is refused to become $to", ({ from, to }) => {
    const release = sampleRelease("v1", everyReleaseState(10)[from]);
    expect(mayBecome(from, to)).toBe(false);
    expect(codeOf(() => transition(release, everyReleaseState(20)[to]))).toBe("RELEASE_TRANSITION");
  });

  test("a refused step says what the release is and what it can become", () => {
    expect(() => transition(sampleRelease("v7", current(1)), starting(2))).toThrow(
      expect.objectContaining({
        message: "Release v7 is current and cannot become starting.",
        next: "See `holdover status` for what it is now; from current it can become: retained.",
      }),
    );
  });
});

test("only ramping and current releases admit new sessions, and only retained and expiring ones their own", () => {
  const admissions = Object.fromEntries(NAMES.map((name) => [name, admissionOf(everyReleaseState(1)[name])]));
  expect(admissions).toEqual({
    starting: "none",
    ready: "none",
    ramping: "new",
    current: "new",
    retained: "existing",
    expiring: "existing",
    retired: "none",
    failed: "none",
  });
});

describe("a cutover", () => {
  test("makes the release current and the one before it retained, in one change", () => {
    const service = sampleService([
      sampleRelease("v1", current(1), { currentAtMs: 1 }),
      sampleRelease("v2", ready(5)),
      sampleRelease("v0", retired(3)),
    ]);
    const after = cutover(service, "v2", 9, 3);
    expect(after.releases.map((release) => [release.id, release.state, release.currentAtMs])).toEqual([
      ["v1", retained(9, 3), 1],
      ["v2", current(9), 9],
      ["v0", retired(3), 0],
    ]);
    expect(currentRelease(after)?.id).toBe("v2");
  });

  test("works for the first release, which has none before it", () => {
    const after = cutover(sampleService([sampleRelease("v1", ready(5))]), "v1", 9, null);
    expect(after.releases.map((release) => release.state)).toEqual([current(9)]);
    expect(previousRelease(after)).toBeUndefined();
  });

  test.each(NAMES.filter((name) => !STEPS[name].includes("current")))("is refused for a release that is %s", (name) => {
    const service = sampleService([sampleRelease("v1", everyReleaseState(1)[name]), sampleRelease("v2", current(1))]);
    expect(codeOf(() => cutover(service, "v1", 9, null))).toBe("RELEASE_TRANSITION");
  });

  test("is refused for a release that the service does not have", () => {
    expect(codeOf(() => cutover(sampleService([]), "v9", 9, null))).toBe("RELEASE_UNKNOWN");
  });

  test("leaves at most one release current, and a rollback goes to the one current before, whatever the clock does", () => {
    const step = fc.record({ pick: fc.nat({ max: 4 }), nowMs: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        let service = sampleService(["a", "b", "c", "d", "e"].map((id) => sampleRelease(id, ready(0))));
        const order: string[] = [];
        for (const { pick, nowMs } of steps) {
          const id = service.releases[pick]?.id ?? "";
          if (order.at(-1) === id) continue;
          service = cutover(service, id, nowMs, null);
          order.push(id);
          expect(service.releases.filter((release) => release.state.name === "current").map(({ id }) => id)).toEqual([
            id,
          ]);
          expect(previousRelease(service)?.id).toBe(order.at(-2));
        }
      }),
    );
  });
});

describe("the release that a rollback goes to", () => {
  test("is the retained one that was current last, not the newest", () => {
    const service = sampleService([
      sampleRelease("v1", retained(30, null), { currentAtMs: 20 }),
      sampleRelease("v2", retained(20, null), { currentAtMs: 10 }),
      sampleRelease("v3", current(30), { currentAtMs: 30 }),
    ]);
    expect(previousRelease(service)?.id).toBe("v1");
  });

  test("is none that never was current: an abandoned ramp is retained too", () => {
    expect(previousRelease(sampleService([sampleRelease("v1", retained(30, null))]))).toBeUndefined();
  });

  test("is none that is expiring or retired", () => {
    const service = sampleService([
      sampleRelease("v1", expiring(30, 40), { currentAtMs: 20 }),
      sampleRelease("v2", retired(20), { currentAtMs: 10 }),
    ]);
    expect(previousRelease(service)).toBeUndefined();
  });
});

test("a release that is looked for and not there is named, together with those that are", () => {
  const service = sampleService([sampleRelease("v1", ready(1)), sampleRelease("v2", ready(1))]);
  expect(releaseOf(service, "v2").id).toBe("v2");
  expect(() => releaseOf(service, "v3")).toThrow(expect.objectContaining({ next: "Its releases: v1, v2." }));
  expect(() => releaseOf(sampleService([]), "v3")).toThrow(
    expect.objectContaining({ next: "Its releases: none yet." }),
  );
});

test("putting a release in place keeps the order of the others, and adds a new one at the end", () => {
  const service = sampleService([sampleRelease("v1", ready(1)), sampleRelease("v2", ready(1))]);
  const changed = withRelease(service, sampleRelease("v1", ramping(5, 20)));
  expect(changed.releases.map(({ id, state }) => [id, state.name])).toEqual([
    ["v1", "ramping"],
    ["v2", "ready"],
  ]);
  expect(withRelease(changed, sampleRelease("v0", starting(6))).releases.map(({ id }) => id)).toEqual([
    "v1",
    "v2",
    "v0",
  ]);
  expect(service.releases[0]?.state.name).toBe("ready");
});

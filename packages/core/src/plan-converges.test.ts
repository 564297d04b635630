import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ControlWorld, type Build, type Script } from "../test/control-world.ts";
import { KEPT } from "../test/sample-service.ts";
import { REPLAN_EVERY_MS } from "./plan.ts";
import type { RetentionPolicy } from "./service.ts";

const build: fc.Arbitrary<Build> = fc.record({
  kind: fc.oneof({ weight: 3, arbitrary: fc.constant("sound" as const) }, fc.constantFrom("broken", "mute", "refused")),
  instances: fc.integer({ min: 1, max: 3 }),
  falseStarts: fc.nat(2),
  startMs: fc.constantFrom(100, 250, 900),
  livesMs: fc.shuffledSubarray([10_000, 15_000, 61_000]),
});
const kept = {
  grace: fc.constant(KEPT.grace),
  wedgedAfter: fc.constant(KEPT.wedgedAfter),
  cutWedged: fc.constant(false),
};
const policy: fc.Arbitrary<RetentionPolicy> = fc.oneof(
  fc.record({ ...kept, policy: fc.constant("until-empty" as const), floor: fc.constantFrom(0, 7000, 30_000) }),
  fc.record({
    ...kept,
    policy: fc.constant("fixed" as const),
    window: fc.constantFrom(0, 5000, 25_000),
    floor: fc.constantFrom(0, 7000),
    grace: fc.constantFrom(0, 3000),
  }),
);
const session = fc.record({
  atMs: fc.nat(300).map((count) => count * REPLAN_EVERY_MS),
  lastsMs: fc.constantFrom(1000, 9000, 30_000),
});
const script: fc.Arbitrary<Script> = fc.record({
  builds: fc.array(build, { minLength: 1, maxLength: 4 }),
  policy,
  sessions: fc.array(session, { maxLength: 20 }),
});

interface Rest {
  readonly releases: readonly string[];
  readonly alive: readonly string[];
  readonly late: readonly unknown[];
}

/** The end that any script must come to: the last sound build is current, those before it retired, the rest failed. */
function restOf({ builds }: Script): Rest {
  const last = builds.findLastIndex(({ kind }) => kind === "sound");
  const endOf = ({ kind }: Build, index: number) =>
    kind !== "sound" ? "failed" : index === last ? "current" : "retired";
  return {
    releases: builds.map((build, index) => `v${index + 1} ${endOf(build, index)}`),
    alive: Array.from({ length: builds[last]?.instances ?? 0 }, () => `v${last + 1} ready`),
    late: [],
  };
}

function endOf(script: Script, dies: () => boolean): Rest {
  const world = new ControlWorld(script, dies);
  world.run();
  return { releases: world.ends(), alive: world.alive(), late: world.late };
}

test("the plan comes to rest: every deploy ends as current, retired or failed, with no further action", () => {
  fc.assert(
    fc.property(script, (script) => {
      expect(endOf(script, () => false)).toEqual(restOf(script));
    }),
    { numRuns: 40 },
  );
});

test("a control process that dies at any step, and plans anew from what is stored, comes to the same end", () => {
  fc.assert(
    fc.property(script, fc.array(fc.boolean(), { minLength: 20, maxLength: 60 }), (script, deaths) => {
      const left = deaths.values();
      expect(endOf(script, () => left.next().value ?? false)).toEqual(restOf(script));
    }),
    { numRuns: 40 },
  );
});

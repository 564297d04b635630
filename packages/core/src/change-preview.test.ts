import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  codeOf,
  KEPT,
  sampleDefinition,
  sampleInstance,
  sampleRelease,
  sampleService,
} from "../test/sample-service.ts";
import { previewChange, previewDeploy, type Around, type ChangePreview } from "./change-preview.ts";
import { promoteChange, rampChange, retireChange, rollbackChange, type Change } from "./changes.ts";
import { isAlive, type Instance } from "./instance.ts";
import { plan } from "./plan.ts";
import {
  current,
  cutover,
  expiring,
  ramping,
  ready,
  releaseOf,
  retained,
  starting,
  transition,
  withRelease,
  type ReleaseRecord,
  type ServiceRecord,
} from "./release.ts";
import type { RetentionPolicy } from "./service.ts";
import type { SessionCount } from "./session.ts";

const NOW_MS = 1_000_000;
const HOUR_MS = 3_600_000;

/** An instance of each release that has one, with so many sessions. */
function around(sessions: Readonly<Record<string, number>> | null): Around {
  const instances = ["v1", "v2", "v3"].map((release) =>
    sampleInstance(`rooms-${release}-1`, { name: "ready", sinceMs: 0 }, { release }),
  );
  const counts = new Map<string, SessionCount>();
  for (const [release, open] of Object.entries(sessions ?? {})) {
    if (open > 0) counts.set(`rooms-${release}-1`, { open, lingering: 0, connections: open, wedged: 0 });
  }
  return {
    nowMs: NOW_MS,
    instances,
    sessions: sessions ? counts : null,
    outlooks: new Map(),
    closing: false,
  };
}

const untilEmpty = (given: Partial<RetentionPolicy> = {}): RetentionPolicy =>
  ({ ...KEPT, policy: "until-empty", floor: HOUR_MS, ...given }) as RetentionPolicy;

/** v1 is retained, v2 current, v3 ready. */
function service(retention: RetentionPolicy = untilEmpty(), more: Partial<ReleaseRecord> = {}): ServiceRecord {
  const definition = sampleDefinition({ retention });
  return sampleService(
    [
      sampleRelease("v1", retained(10, 5), { definition, currentAtMs: 1 }),
      sampleRelease("v2", current(10), { definition, currentAtMs: 10, ...more }),
      sampleRelease("v3", ready(20), { definition, intent: { then: "wait" } }),
    ],
    { definition },
  );
}

describe("a promotion", () => {
  const preview = (sessions: Parameters<typeof around>[0], retention?: RetentionPolicy): ChangePreview => {
    const seen = around(sessions);
    const before = service(retention);
    return previewChange(before, promoteChange(before, "v3", seen), seen);
  };

  test("ends no session: those of the release before go on", () => {
    expect(preview({ v1: 2, v2: 12 })).toEqual({
      moves: 0,
      cuts: 0,
      effects: ["New sessions start on v3.", "12 sessions on v2 go on there, undisturbed, until the last has ended."],
    });
    expect(preview({ v2: 1 }).effects[1]).toBe("1 session on v2 goes on there, undisturbed, until the last has ended.");
    expect(preview({}).effects[1]).toBe("No session is on v2; it is kept for a rollback as long as its window says.");
    expect(preview(null).effects[1]).toMatch(/^Whatever sessions are on v2, which nobody can count now, go on there/);
  });

  test("says when the window of the release before ends what is left", () => {
    const fixed: RetentionPolicy = { ...KEPT, policy: "fixed", window: 2 * HOUR_MS, floor: 0 };
    expect(preview({ v2: 3 }, fixed).effects[1]).toBe(
      "3 sessions on v2 go on there, undisturbed; in 2h at the latest, what is left is asked to move, and cut 30s after that.",
    );
    const budget: RetentionPolicy = {
      ...KEPT,
      policy: "budget",
      disruptionBudget: 0.1,
      floor: 0,
      ceiling: 24 * HOUR_MS,
    };
    expect(preview({ v2: 30 }, budget).effects[1]).toBe(
      "30 sessions on v2 go on there, undisturbed; once 3 are left, or in 1d at the latest, what is left is asked to move, and cut 30s after that.",
    );
  });

  test("counts the sessions of the oldest release that has to make room", () => {
    expect(preview({ v1: 4, v2: 12 }, untilEmpty({ maxRetained: 1 }))).toEqual({
      moves: 4,
      cuts: 4,
      effects: [
        "4 sessions on v1 are asked to move to v3 within 30s; those left then are cut.",
        "v1 expires by that: 1 release may be retained, and it is the oldest.",
        "There is no rollback to v1 any more.",
        "New sessions start on v3.",
        "12 sessions on v2 go on there, undisturbed, until the last has ended.",
      ],
    });
    expect(preview({ v2: 12 }, untilEmpty({ maxRetained: 1 }))).toMatchObject({ moves: 0, cuts: 0 });
    expect(preview(null, untilEmpty({ maxRetained: 1 }))).toMatchObject({ moves: null, cuts: null });
  });

  test("counts the sessions that another policy, which comes into force with it, ends at once", () => {
    const seen = around({ v1: 4, v2: 3 });
    const short = sampleDefinition({ retention: { ...KEPT, policy: "fixed", window: 0, floor: 0 } });
    const before = withRelease(service(), sampleRelease("v3", ready(20), { definition: short }));
    const { cuts, moves, effects } = previewChange(before, promoteChange(before, "v3", seen), seen);
    expect([moves, cuts]).toEqual([7, 7]);
    expect(effects).toContain("3 sessions on v2 are asked to move to v3 within 30s; those left then are cut.");
    expect(effects).toContain("The settings that v3 was deployed with come into force.");
    expect(effects.some((text) => text.includes("undisturbed"))).toBe(false);
  });

  test("calls off a restart that is under way, and says so", () => {
    const seen = around({ v2: 1 });
    const restart = { sinceMs: 0, batch: 1, waitMs: 0, graceMs: 0, waiting: [], leaving: ["x"], leavingSinceMs: null };
    const before = service(undefined, { restart });
    expect(previewChange(before, promoteChange(before, "v3", seen), seen).effects).toContain(
      "The restart of v2 that is under way is called off.",
    );
  });
});

describe("a ramp", () => {
  test("moves nobody", () => {
    const seen = around({ v1: 2, v2: 12 });
    expect(previewChange(service(), rampChange(service(), "v3", 5, seen), seen)).toEqual({
      moves: 0,
      cuts: 0,
      effects: ["5% of the new sessions start on v3, the others on v2.", "No live session changes its place."],
    });
  });
});

describe("a rollback", () => {
  const preview = (sessions: "finish" | "cut", counts: Parameters<typeof around>[0]): ChangePreview => {
    const seen = around(counts);
    return previewChange(service(), rollbackChange(service(), undefined, sessions, seen), seen);
  };

  test("lets the sessions of the release that is left finish", () => {
    expect(preview("finish", { v1: 2, v2: 12 })).toMatchObject({ moves: 0, cuts: 0 });
    expect(preview("finish", { v1: 2, v2: 12 }).effects[0]).toBe("New sessions start on v1.");
  });

  test("or cuts them, and says so first", () => {
    expect(preview("cut", { v1: 2, v2: 12 })).toEqual({
      moves: 0,
      cuts: 12,
      effects: [
        "12 sessions on v2 are cut at once, as fast as the disconnect cap allows.",
        "There is no rollback to v2 any more.",
        "New sessions start on v1.",
      ],
    });
    expect(preview("cut", null)).toMatchObject({ moves: 0, cuts: null });
    expect(preview("cut", { v1: 2 })).toMatchObject({
      cuts: 0,
      effects: expect.arrayContaining(["No session is on v2: it is retired."]),
    });
  });
});

describe("retiring a release", () => {
  const preview = (before: ServiceRecord, id: string, now: boolean, sessions: Parameters<typeof around>[0]) => {
    const seen = around(sessions);
    return previewChange(before, retireChange(before, id, now, seen), seen);
  };

  test("asks its sessions to move, and cuts what is left", () => {
    expect(preview(service(), "v1", false, { v1: 12 })).toEqual({
      moves: 12,
      cuts: 12,
      effects: [
        "12 sessions on v1 are asked to move to v2 within 30s; those left then are cut.",
        "There is no rollback to v1 any more.",
      ],
    });
    expect(preview(service(), "v1", true, { v1: 1 })).toMatchObject({
      moves: 0,
      cuts: 1,
      effects: [
        "1 session on v1 is cut at once, as fast as the disconnect cap allows.",
        "There is no rollback to v1 any more.",
      ],
    });
  });

  test("with nobody on it cuts nobody; with nobody knows how many it may cut any number", () => {
    expect(preview(service(), "v1", true, {})).toMatchObject({ moves: 0, cuts: 0 });
    expect(preview(service(), "v1", false, null)).toMatchObject({ moves: null, cuts: null });
  });

  test("that has not served gives it up", () => {
    expect(preview(service(), "v3", false, {})).toEqual({
      moves: 0,
      cuts: 0,
      effects: ["v3 is given up: its instances are stopped."],
    });
  });

  test("that expires already does something only where its grace becomes shorter", () => {
    const before = withRelease(service(), sampleRelease("v1", expiring(10, NOW_MS + 5000), { currentAtMs: 1 }));
    expect(preview(before, "v1", false, { v1: 3 })).toEqual({ moves: 0, cuts: 0, effects: ["Nothing changes."] });
    expect(preview(before, "v1", true, { v1: 3 })).toMatchObject({ moves: 0, cuts: 3 });
  });
});

describe("a deploy", () => {
  const deployed = (before: ServiceRecord, given: Partial<ReleaseRecord> = {}): Change => {
    const release = sampleRelease("v4", starting(NOW_MS), { snapshot: null, definition: before.definition, ...given });
    return { next: withRelease(before, release), release: "v4", reason: "deploy" };
  };

  test("does nothing to any session before it is ready, and then what a cutover does", () => {
    const change = deployed(service(), {
      definition: sampleDefinition({ instances: 2, gate: { command: ["no"], timeout: 1 } }),
    });
    expect(previewDeploy(change, around({ v2: 3 }))).toEqual({
      moves: 0,
      cuts: 0,
      effects: [
        "2 instances of v4 start from a copy of /builds/v4, and its gate is asked. Once it is ready:",
        "New sessions start on v4.",
        expect.stringMatching(/^3 sessions on v2 go on there, undisturbed/),
        "The settings that v4 was deployed with come into force.",
      ],
    });
  });

  test("counts the sessions of the release that has to make room for it", () => {
    expect(previewDeploy(deployed(service(untilEmpty({ maxRetained: 1 }))), around({ v1: 4, v2: 3 }))).toMatchObject({
      moves: 4,
      cuts: 4,
    });
  });

  test("is the first of its service, too", () => {
    const { effects } = previewDeploy(deployed(sampleService([])), around({}));
    expect(effects).toEqual([
      "An instance of v4 starts from a copy of /builds/v4. Once it is ready:",
      "New sessions start on v4.",
    ]);
  });
});

describe("a word is refused in the preview with what refuses the word itself", () => {
  const seen = around({});
  const cold: Around = { ...seen, instances: [] };
  const unknown: Around = { ...seen, instances: null };
  test.each([
    ["RELEASE_COLD", () => promoteChange(service(), "v3", cold)],
    ["RELEASE_COLD", () => rollbackChange(service(), undefined, "finish", cold)],
    ["RELEASE_COLD", () => rampChange(service(), "v3", 5, cold)],
    ["LINK_DOWN", () => promoteChange(service(), "v3", unknown)],
    ["RELEASE_TRANSITION", () => promoteChange(service(), "v2", seen)],
    ["RELEASE_UNKNOWN", () => promoteChange(service(), "v".repeat(200), seen)],
    ["RELEASE_UNKNOWN", () => retireChange(service(), "<b>", false, seen)],
    ["RELEASE_IS_CURRENT", () => retireChange(service(), "v2", true, seen)],
    [
      "NO_PREVIOUS_RELEASE",
      () => rollbackChange(sampleService([sampleRelease("v1", current(1))]), undefined, "cut", seen),
    ],
    ["NO_CURRENT_RELEASE", () => rampChange(sampleService([sampleRelease("v1", ready(1))]), "v1", 5, seen)],
  ])("%s", (code, change) => {
    expect(codeOf(change)).toBe(code);
  });
});

interface Drawn {
  readonly kind: string;
  readonly floor: number;
  readonly span: number;
  readonly share: number;
  readonly grace: number;
  readonly most: number | undefined;
}

function policyOf({ kind, floor, span, share, grace, most }: Drawn): RetentionPolicy {
  const common = { ...KEPT, grace, ...(most !== undefined && { maxRetained: most }) };
  if (kind === "until-empty") return { ...common, policy: "until-empty", floor };
  if (kind === "fixed") return { ...common, policy: "fixed", window: span, floor };
  const ceiling = span + 1;
  return { ...common, policy: "budget", disruptionBudget: share, floor: Math.min(floor, ceiling), ceiling };
}

describe("whatever there is", () => {
  const policy = fc
    .record({
      kind: fc.constantFrom("until-empty", "fixed", "budget"),
      floor: fc.constantFrom(0, HOUR_MS),
      span: fc.constantFrom(0, 1000, HOUR_MS),
      share: fc.constantFrom(0, 0.5, 1),
      grace: fc.constantFrom(0, 30_000),
      most: fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined }),
    })
    .map(policyOf);
  const state = fc.oneof(
    fc.constantFrom(ready(20), ramping(20, 30)),
    // Of one the window may be over, of the other it is not.
    fc.constantFrom(retained(20, 5), retained(NOW_MS - 2 * HOUR_MS, null)),
    fc.constantFrom(expiring(20, NOW_MS + 5000), expiring(20, NOW_MS - 1)),
  );
  const world = fc.record({
    inForce: policy,
    own: policy,
    states: fc.array(state, { minLength: 1, maxLength: 5 }),
    sessions: fc.array(fc.constantFrom(0, 0, 1, 3), { minLength: 6, maxLength: 6 }),
    hasCurrent: fc.boolean(),
  });
  const word = fc.record({
    kind: fc.constantFrom("promote", "ramp", "rollback", "cut", "retire", "retire-now"),
    which: fc.nat(5),
  });

  /** What control makes of it at this very moment: every step of every plan, until there is none that changes a release. */
  function steered(start: ServiceRecord, seen: Around): ServiceRecord {
    let service = start;
    for (let pass = 0; pass < 50; pass += 1) {
      let changed = false;
      for (const action of plan({ ...seen, services: [service] })) {
        if (action.do === "transition")
          service = withRelease(service, transition(releaseOf(service, action.release), action.to));
        else if (action.do === "cutover") service = cutover(service, action.release, seen.nowMs, null);
        else continue;
        changed = true;
      }
      if (!changed) return service;
    }
    throw new Error("it never comes to rest");
  }

  /** Sessions by the release that ends them, with when the last of its grace is over. */
  const ending = ({ releases }: ServiceRecord): Map<string, number> =>
    new Map(releases.flatMap(({ id, state: now }) => (now.name === "expiring" ? [[id, now.graceUntilMs]] : [])));

  test("a change ends the sessions that its preview counts, and no other: with none to be cut, none is", () => {
    let counted = 0;
    fc.assert(
      fc.property(world, word, ({ inForce, own, states, sessions, hasCurrent }, { kind, which }) => {
        const definition = sampleDefinition({ retention: inForce });
        const releases = states.map((one, index) =>
          sampleRelease(`v${index}`, one, {
            definition: sampleDefinition({ retention: own }),
            intent: { then: "wait" },
            currentAtMs: one.name === "retained" ? index + 1 : 0,
          }),
        );
        if (hasCurrent) releases.push(sampleRelease("now", current(30), { definition, currentAtMs: 30 }));
        const before = sampleService(releases, { definition });
        const instances: Instance[] = releases.map(({ id }, index) =>
          sampleInstance(`i${index}`, { name: "ready", sinceMs: 0 }, { release: id }),
        );
        const counts = new Map(
          instances.flatMap(({ id, release }, index): [string, SessionCount][] => {
            const open = releaseOf(before, release).state.name === "ready" ? 0 : (sessions[index] ?? 0);
            return open > 0 ? [[id, { open, lingering: 0, connections: open, wedged: 0 }]] : [];
          }),
        );
        const seen: Around = { nowMs: NOW_MS, instances, sessions: counts, outlooks: new Map(), closing: false };
        const change = allowed(before, kind, releases[which % releases.length]?.id ?? "", seen);
        if (!change) return;
        const { moves, cuts } = previewChange(before, change, seen);

        const without = ending(steered(before, seen));
        let [toMove, toCut] = [0, 0];
        for (const [id, untilMs] of ending(steered(change.next, seen))) {
          if ((without.get(id) ?? Infinity) <= untilMs) continue;
          const held = instances
            .filter((one) => isAlive(one) && one.release === id)
            .reduce((sum, one) => sum + (counts.get(one.id)?.open ?? 0), 0);
          toCut += held;
          if (untilMs > NOW_MS) toMove += held;
        }
        expect({ moves, cuts }).toEqual({ moves: toMove, cuts: toCut });
        counted += toCut;
      }),
      { numRuns: 3000 },
    );
    expect(counted).toBeGreaterThan(100);
  });

  function allowed(before: ServiceRecord, kind: string, id: string, seen: Around): Change | null {
    try {
      if (kind === "promote") return promoteChange(before, id, seen);
      if (kind === "ramp") return rampChange(before, id, 20, seen);
      if (kind === "rollback" || kind === "cut")
        return rollbackChange(before, undefined, kind === "cut" ? "cut" : "finish", seen);
      return retireChange(before, id, kind === "retire-now", seen);
    } catch {
      return null;
    }
  }
});

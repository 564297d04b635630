import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HoldoverError } from "./errors.ts";
import { binAges, type LiveGroup } from "./forecast.ts";
import { lifeSample } from "./life-sample.ts";
import { planRestart, type RestartedInstance, type RestartQuestion } from "./restart-plan.ts";
import { kaplanMeier } from "./survival.ts";

const MINUTE = 60_000;

/** Lengths of 1, 2 … 100 minutes: of sessions that have just begun 100 - n of a hundred are left after n minutes. */
const lengths = kaplanMeier(
  lifeSample(Array.from({ length: 100 }, (_, index) => ({ exit: (index + 1) * MINUTE, ended: true }))),
);
const young = (many: number): LiveGroup[] => [{ live: binAges(new Float64Array(many)), lengths }];
const instance = (id: string, open = 100, connections = open): RestartedInstance => ({
  id,
  open,
  jobs: 0,
  lingering: 0,
  connections,
  groups: young(open),
});
const three = ["a", "b", "c"].map((id) => instance(id));

/** 300 connections, of which 15 may be closed within a second: 150 in the grace. */
const ask = (given: Partial<RestartQuestion> = {}): RestartQuestion => ({
  instances: three,
  waitMs: 0,
  graceMs: 10_000,
  cap: { atOnce: 0.05, periodMs: 1000 },
  connections: 300,
  capacity: null,
  ...given,
});

/** What it is refused with. */
function refusal(given: Partial<RestartQuestion>): HoldoverError {
  try {
    planRestart(ask(given));
  } catch (thrown) {
    if (thrown instanceof HoldoverError) return thrown;
    throw thrown;
  }
  throw new Error("it was not refused");
}

describe("the plan of a restart", () => {
  test("replaces one instance after the other, and closes what is left of it under the cap", () => {
    // 100 connections, 15 in a second: the seventh second closes the last ten.
    expect(planRestart(ask())).toEqual({
      batches: [
        { instances: ["a"], startsAfterMs: 0, waitMs: 0, expectedMoved: 100, connections: 100, closingMs: 7000 },
        { instances: ["b"], startsAfterMs: 7000, waitMs: 0, expectedMoved: 100, connections: 100, closingMs: 7000 },
        { instances: ["c"], startsAfterMs: 14_000, waitMs: 0, expectedMoved: 100, connections: 100, closingMs: 7000 },
      ],
      duration: { expectedMs: 21_000, mostMs: 21_000 },
      expectedMoved: 300,
      expectedCut: 0,
      mostCut: 0,
    });
  });

  test("moves only what has not ended by itself in the wait", () => {
    const plan = planRestart(ask({ waitMs: 40 * MINUTE }));
    expect(plan.batches[0]).toMatchObject({ waitMs: 40 * MINUTE, connections: 60, closingMs: 4000 });
    expect(plan.expectedMoved).toBeCloseTo(180, 6);
    expect(plan.batches[1]?.startsAfterMs).toBe(40 * MINUTE + 4000);
    expect(plan.duration).toEqual({ expectedMs: 3 * (40 * MINUTE + 4000), mostMs: 3 * (40 * MINUTE + 7000) });
  });

  test("goes on as soon as a batch is empty, a linger after its last session", () => {
    const plan = planRestart(ask({ waitMs: 1000 * MINUTE, instances: [instance("a", 1), instance("b", 0)] }));
    expect(plan.batches[0]).toMatchObject({ connections: 0, closingMs: 0 });
    expect(Math.abs((plan.batches[1]?.startsAfterMs ?? 0) / MINUTE - 50)).toBeLessThan(1.5);
    const lingering = planRestart(
      ask({ waitMs: 1000 * MINUTE, instances: [instance("a", 1), instance("b", 0)], lingerMs: 7 * MINUTE }),
    );
    expect((lingering.batches[1]?.startsAfterMs ?? 0) - (plan.batches[1]?.startsAfterMs ?? 0)).toBeCloseTo(
      7 * MINUTE,
      3,
    );
    // The second has no session: its turn takes no time.
    expect(plan.duration.expectedMs).toBe(plan.batches[1]?.startsAfterMs);
  });

  test("takes all sessions as left where nobody knows how long they last", () => {
    const instances = [instance("a"), { ...instance("b"), groups: undefined }];
    const plan = planRestart(ask({ instances, waitMs: 40 * MINUTE }));
    expect(plan.batches.map(({ expectedMoved }) => expectedMoved)).toEqual([expect.closeTo(60, 6), undefined]);
    expect(plan.batches.map(({ connections }) => connections)).toEqual([60, 100]);
    expect(plan.expectedMoved).toBeUndefined();
    expect(plan.duration.expectedMs).toBe(80 * MINUTE + 4000 + 7000);
  });

  test("counts connections, of which a session may have several", () => {
    const room = [instance("a", 10, 140), instance("b", 10, 140)];
    expect(planRestart(ask({ instances: room })).batches[0]).toMatchObject({ expectedMoved: 10, closingMs: 10_000 });
  });

  test("replaces several at once, the rest in the last batch", () => {
    const instances = ["a", "b", "c", "d", "e"].map((id) => instance(id, 60));
    const plan = planRestart(ask({ instances, batch: 2 }));
    expect(plan.batches.map(({ instances }) => instances)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    expect(plan.batches.map(({ closingMs }) => closingMs)).toEqual([8000, 8000, 4000]);
  });

  test("may be one batch of all instances, where that fits", () => {
    expect(planRestart(ask({ batch: 3, graceMs: 20_000 })).batches).toHaveLength(1);
  });

  test("tells how many would be cut in the worst case", () => {
    const plan = planRestart(ask({ waitMs: 60 * MINUTE, graceMs: 4000 }));
    // 40 of a hundred are expected, 60 can be closed within the grace.
    expect(plan).toMatchObject({ expectedCut: 0, mostCut: 120 });
  });

  test("counts jobs among what would be cut: they are not moved", () => {
    const plan = planRestart(ask({ instances: [{ ...instance("a", 10), jobs: 4 }] }));
    expect(plan.mostCut).toBe(4);
  });

  test("takes no grace for one that may be over before anything is moved: it cuts those that linger, too", () => {
    const idle = { ...instance("a", 0), lingering: 5 };
    expect(planRestart(ask({ instances: [idle], graceMs: 1000 })).mostCut).toBe(5);
    expect(planRestart(ask({ instances: [idle], graceMs: 1001 })).mostCut).toBe(0);
    // Four periods of 200 ms fit into 1.2 s after the wait; in the worst case two are left when moving begins.
    const short = { instances: [instance("a", 4)], connections: 4, cap: { atOnce: 0.25, periodMs: 200 } };
    expect(planRestart(ask({ ...short, graceMs: 1200 })).mostCut).toBe(2);
    expect(planRestart(ask({ ...short, graceMs: 1600 })).mostCut).toBe(0);
  });

  test("closes at least one connection at once, however few there are", () => {
    const plan = planRestart(ask({ instances: [instance("a", 3)], connections: 3 }));
    expect(plan.batches[0]?.closingMs).toBe(3000);
  });
});

describe("settings that cannot work are refused with the numbers", () => {
  test("a batch that the cap does not let go within the grace", () => {
    const { code, message, next } = refusal({ batch: 2 });
    expect(code).toBe("RESTART_INFEASIBLE");
    expect(message).toBe(
      "This restart cannot work: 200 connections are expected on a, b after a wait of 0ms; to close them takes 14s, at 15 within 1s (5% of 300), and the grace is 10s",
    );
    // 200 in 10 periods are 20 of 300 at once; 150 of 200 are left after 25 minutes.
    expect(next).toMatch(
      /^Set one of: a batch of 1; disconnects.atOnce of at least 6.7%; a grace of at least 14s; a wait of at least 25m( \ds)?\.$/,
    );
  });

  test("with a share that still is enough when it is rounded", () => {
    // 29% of 100 are 28.999999999999996.
    const given = { instances: [instance("a", 29)], connections: 100, graceMs: 1000 };
    expect(refusal(given).next).toContain("disconnects.atOnce of at least 29.1%");
    expect(planRestart(ask({ ...given, cap: { atOnce: 0.291, periodMs: 1000 } })).batches).toHaveLength(1);
  });

  test("a reconnect period that is longer than the grace", () => {
    const { message, next } = refusal({ cap: { atOnce: 1, periodMs: 60_000 } });
    expect(message).toContain("to close them takes 1m, at 300 within 1m (100% of 300), and the grace is 10s");
    expect(next).toMatch(/^Set one of: a grace of at least 1m; a wait of at least \dh \d+m\.$/);
  });

  test("lengths that are not known: no wait would help", () => {
    const instances = three.map(({ id, open, connections }): RestartedInstance => {
      return { id, open, connections, jobs: 0, lingering: 0, groups: undefined };
    });
    expect(refusal({ instances, graceMs: 5000, waitMs: 99 * MINUTE }).next).toBe(
      "Set one of: disconnects.atOnce of at least 6.7%; a grace of at least 7s.",
    );
  });

  test.each([
    [{ batch: 4 }, "a batch of 4 instances is more than the 3 that there are", "Write a batch of 1 to 3."],
    [{ batch: 0 }, "a batch of 0 instances is none", "Write a batch of 1 to 3."],
    [{ batch: 1.5 }, "a batch of 1.5 instances is none", "Write a batch of 1 to 3."],
    [{ batch: 2, instances: [instance("a")] }, "a batch of 2 instances is more than the 1", "Write a batch of 1."],
    [{ instances: [] }, "the release has no instance", "Deploy it again, or wait until it has one."],
    [{ waitMs: -1 }, "a wait of -1 ms is no time", "Write 0 or a duration, for example 30s."],
    [{ graceMs: Number.NaN }, "a grace of NaN ms is no time", "Write 0 or a duration, for example 30s."],
    [
      { cap: { atOnce: 0, periodMs: 1000 } },
      "a disconnect cap of 0 within 1000 ms lets nothing be closed",
      "Write a share above 0 and up to 1, for example 0.05, and a period above 0.",
    ],
    [
      { capacity: 90 },
      "3 instances of a capacity of 90 hold 270 sessions, and 300 are open: the replacements could not take what is moved",
      "Deploy it with a capacity of at least 100, or with at least 4 instances.",
    ],
  ])("%j", (given, problem, remedy) => {
    const { message, next } = refusal(given);
    expect(message).toContain(`This restart cannot work: ${problem}`);
    expect(next).toBe(remedy);
  });

  test("a capacity that holds them all is enough", () => {
    expect(planRestart(ask({ capacity: 100 })).batches).toHaveLength(3);
  });
});

describe("whatever is live", () => {
  const sizes = fc.array(fc.tuple(fc.nat(80), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 8 });
  const question = fc
    .record({
      sizes,
      batch: fc.integer({ min: 1, max: 8 }),
      waitMs: fc.nat(120 * MINUTE),
      graceMs: fc.nat(60_000),
      atOnce: fc.double({ min: 0.01, max: 1, noNaN: true }),
      periodMs: fc.integer({ min: 100, max: 20_000 }),
      others: fc.nat(500),
    })
    .map(({ sizes, batch, atOnce, periodMs, others, waitMs, graceMs }): RestartQuestion => {
      const instances = sizes.map(([open, each], index) => instance(`i${index}`, open, open * each));
      const connections = instances.reduce((sum, one) => sum + one.connections, others);
      const cap = { atOnce, periodMs };
      return ask({ waitMs, graceMs, cap, instances, connections, batch: Math.min(batch, instances.length) });
    });

  test("a plan closes no more at once than the cap allows, and all within the grace", () => {
    fc.assert(
      fc.property(question, (question) => {
        const plan = planOrRefusal(question);
        if (plan instanceof HoldoverError) return;
        const atOnce = Math.max(1, Math.floor(question.connections * question.cap.atOnce));
        expect(plan.batches.flatMap(({ instances }) => instances)).toEqual(question.instances.map(({ id }) => id));
        expect(plan.duration.mostMs).toBeGreaterThanOrEqual(plan.duration.expectedMs);
        for (const { connections, closingMs } of plan.batches) {
          expect((closingMs / question.cap.periodMs) * atOnce).toBeGreaterThanOrEqual(connections);
          expect(closingMs).toBeLessThanOrEqual(question.graceMs + 1e-6);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("each way out that a refusal names does work", () => {
    let refused = 0;
    fc.assert(
      fc.property(question, (question) => {
        const refusal = planOrRefusal(question);
        if (!(refusal instanceof HoldoverError)) return;
        refused++;
        for (const changed of waysOut(refusal.next, question)) expect(planOrRefusal(changed)).toHaveProperty("batches");
      }),
      { numRuns: 500, seed: 1 },
    );
    expect(refused).toBeGreaterThan(50);
  });
});

function planOrRefusal(question: RestartQuestion) {
  try {
    return planRestart(question);
  } catch (thrown) {
    if (thrown instanceof HoldoverError) return thrown;
    throw thrown;
  }
}

/** The question with each of the settings that a remedy names, as a user would read them. */
function waysOut(remedy: string, question: RestartQuestion): RestartQuestion[] {
  const units: Record<string, number> = { ms: 1, s: 1000, m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE };
  const read = (pattern: RegExp) => pattern.exec(remedy)?.[1];
  const span = (text: string) =>
    [...text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)].reduce(
      (sum, [, n, unit]) => sum + Number(n) * (units[unit ?? ""] ?? 0),
      0,
    );
  const batch = read(/a batch of (\d+)/);
  const share = read(/atOnce of at least ([\d.]+)%/);
  const grace = read(/grace of at least ([\dmshd. ]+)[;.]/);
  const wait = read(/wait of at least ([\dmshd. ]+)[;.]/);
  return [
    ...(batch ? [{ ...question, batch: Number(batch) }] : []),
    ...(share ? [{ ...question, cap: { ...question.cap, atOnce: Number(share) / 100 } }] : []),
    ...(grace ? [{ ...question, graceMs: span(grace) }] : []),
    ...(wait ? [{ ...question, waitMs: span(wait) }] : []),
  ];
}

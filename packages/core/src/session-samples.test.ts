import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lanesAt, NOT_KNOWN, samplesOf, type Moments, type SessionCounts } from "./session-samples.ts";

const counted = (atMs: number, live: Record<string, number | null>): SessionCounts => ({
  atMs,
  live: new Map(Object.entries(live)),
});
const lanes = (runs: readonly (readonly SessionCounts[])[], moments: Moments, lastsMs = 0) =>
  Object.fromEntries(lanesAt(runs.map(samplesOf), moments, lastsMs));

test("samples are columns by release, where one that is not listed held none and one that nobody could count is not known", () => {
  const samples = samplesOf([counted(1, { a: 4 }), counted(2, { a: null, b: 5 }), counted(3, {})]);
  expect(samples.atMs).toEqual(Float64Array.of(1, 2, 3));
  expect(samples.releases).toEqual(["a", "b"]);
  expect(samples.live).toEqual(Int32Array.of(4, NOT_KNOWN, 0, 0, 5, 0));
});

describe("The lanes", () => {
  const moments: Moments = { fromMs: 100, stepMs: 10, count: 4 };

  test("have at each moment the last count since the moment before", () => {
    expect(
      lanes([[counted(91, { a: 1 }), counted(100, { a: 2 }), counted(101, { a: 9 }), counted(110, { a: 3 })]], moments),
    ).toEqual({ a: [2, 3, null, null] });
  });

  test("have a gap where nobody counted, and where nobody could; a count that was known goes before", () => {
    const run = [counted(100, { a: 5 }), counted(110, { a: null }), counted(121, { a: 7 }), counted(125, { a: null })];
    expect(lanes([run], moments)).toEqual({ a: [5, null, null, 7] });
  });

  test("are at zero while others were counted and the release was not there", () => {
    const before = [counted(95, { a: 1 }), counted(105, { a: 2 })];
    expect(lanes([before, [counted(125, { b: 4 })]], moments)).toEqual({ a: [1, 2, null, 0], b: [0, 0, null, 4] });
  });

  test("carry a count on for as long as it lasts, where moments are closer than counts", () => {
    const run = [counted(100, { a: 5 })];
    expect(lanes([run], moments, 20)).toEqual({ a: [5, 5, 5, null] });
    expect(lanes([[counted(85, { a: 6 })]], moments, 20)).toEqual({ a: [6, null, null, null] });
  });

  test("leave out what came before the first moment, or after the last", () => {
    expect(lanes([[counted(90, { a: 5 }), counted(131, { a: 6 })]], moments)).toEqual({ a: [null, null, null, null] });
  });

  test("take the count that came later where the clock was set back", () => {
    expect(lanes([[counted(109, { a: 5 })], [counted(102, { a: 6 })]], moments)).toEqual({ a: [null, 6, null, null] });
  });

  test("end with what was counted at the last moment, however the moments came about", () => {
    const nowMs = fc.double({ min: 1.6e12, max: 1.9e12, noNaN: true });
    const range = fc.double({ min: 20_000, max: 172_800_000, noNaN: true });
    fc.assert(
      fc.property(nowMs, range, fc.integer({ min: 2, max: 1000 }), (untilMs, rangeMs, points) => {
        const stepMs = rangeMs / (points - 1);
        const told = lanes([[counted(untilMs, { a: 7 })]], { fromMs: untilMs - rangeMs, stepMs, count: points });
        expect(told["a"]?.at(-1)).toBe(7);
      }),
      { numRuns: 2000 },
    );
  });

  test("are what one finds by looking at each moment by itself", () => {
    const live = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.option(fc.nat(99)));
    const runs = fc.array(fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 99 }), live }), { maxLength: 6 }), {
      maxLength: 6,
    });
    const grid = fc.record({
      fromMs: fc.integer({ min: 0, max: 60 }),
      stepMs: fc.integer({ min: 1, max: 30 }),
      count: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(runs, grid, fc.constantFrom(0, 7, 25), (given, moments, lastsMs) => {
        // Time goes on.
        let nowMs = -1;
        const counts = given.map((run) => run.map((one) => counted((nowMs += 1 + (one.atMs % 9)), one.live)));
        expect(lanes(counts, moments, lastsMs)).toEqual(oneByOne(counts.flat(), moments, lastsMs));
      }),
    );
  });
});

function oneByOne(all: readonly SessionCounts[], { fromMs, stepMs, count }: Moments, lastsMs: number) {
  const releases = [...new Set(all.flatMap(({ live }) => [...live.keys()]))];
  const isBetween = (afterMs: number, untilMs: number) => (one: SessionCounts) =>
    one.atMs > afterMs && one.atMs <= untilMs;
  const at = (release: string, moment: number): number | null => {
    const nowMs = fromMs + moment * stepMs;
    const since = nowMs - (moment === 0 ? Math.max(stepMs, lastsMs) : stepMs);
    const own = all.filter(isBetween(since, nowMs));
    if (own.length === 0) {
      const last = all.findLast(isBetween(fromMs - Math.max(stepMs, lastsMs), nowMs));
      if (!last || nowMs - last.atMs > lastsMs) return null;
      return at(release, Math.max(0, Math.ceil((last.atMs - fromMs) / stepMs)));
    }
    return (
      own.map(({ live }) => (live.has(release) ? (live.get(release) ?? null) : 0)).findLast((n) => n !== null) ?? null
    );
  };
  return Object.fromEntries(
    releases.map((release) => [release, Array.from({ length: count }, (_, moment) => at(release, moment))]),
  );
}

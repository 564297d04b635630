import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

describe("a duration is read", () => {
  test.each([
    ["0s", 0],
    ["240ms", 240],
    ["90s", 90_000],
    ["1.5h", 5_400_000],
    [" 5m ", 300_000],
    ["2d", 172_800_000],
    ["0.4ms", 0],
    ["1.5ms", 2],
  ])("%j is %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(["", "5", "s", "5 s", "-5s", "+5s", ".5s", "5.s", "1e3s", "5S", "5min", "1h30m", "5s\n6s", "٣s", "NaNs"])(
    "%j is none",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test("one too large to count in whole milliseconds is none, and never infinite", () => {
    expect(parseDuration("104249991d")).toBe(9_007_199_222_400_000);
    expect(parseDuration("104249992d")).toBeUndefined();
    expect(parseDuration(`${"9".repeat(400)}d`)).toBeUndefined();
  });

  test("garbage never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const ms = parseDuration(text);
        expect(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      }),
    );
  });

  test("a whole number of any unit is that many units", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.constantFrom("ms", "s", "m", "h", "d"), (count, unit) => {
        expect(parseDuration(`${count}${unit}`)).toBe(count * (UNIT_MS[unit] ?? 0));
      }),
    );
  });
});

describe("a duration is written for a person", () => {
  test.each([
    [0, "0ms"],
    [240, "240ms"],
    [999, "999ms"],
    [999.6, "1s"],
    [1000, "1s"],
    [3200, "3.2s"],
    [9960, "10s"],
    [10_000, "10s"],
    [59_400, "59s"],
    [59_600, "1m"],
    [61_000, "1m 1s"],
    [3_600_000, "1h"],
    [3_605_000, "1h"],
    [3_900_000, "1h 5m"],
    [86_399_600, "1d"],
    [90_000_000, "1d 1h"],
    [172_800_000, "2d"],
  ])("%d ms is %j", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("what is written reads back as the same span, to the smallest unit that it shows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * 86_400_000 }), (ms) => {
        const parts = formatDuration(ms).split(" ");
        const back = parts.reduce((sum, part) => sum + (parseDuration(part) ?? Number.NaN), 0);
        // Two units at the most, so what is left out is less than one of the second: an hour for days, and so on.
        const precision =
          ms < 1000 ? 0.5 : ms < 10_000 ? 50 : ms < 3_599_500 ? 500 : ms < 86_399_500 ? 60_000 : 3_600_000;
        expect(parts.length).toBeLessThanOrEqual(2);
        expect(Math.abs(back - ms)).toBeLessThanOrEqual(precision);
      }),
    );
  });

  test("one that is written with a single unit reads back exactly as it was", () => {
    fc.assert(
      fc.property(fc.constantFrom("ms", "s", "m", "h"), fc.integer({ min: 1, max: 23 }), (unit, count) => {
        expect(formatDuration(parseDuration(`${count}${unit}`) ?? 0)).toBe(`${count}${unit}`);
      }),
    );
  });
});

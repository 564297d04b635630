import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lingerAt, shareLeft } from "./affinity-ramp.ts";
import { binAges } from "./forecast.ts";
import { lifeSample } from "./life-sample.ts";
import { kaplanMeier } from "./survival.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NORMAL = 30 * MINUTE;

describe("the linger while a cutover is prepared", () => {
  const preparation = { fromMs: 10 * HOUR, untilMs: 11 * HOUR, lingerMs: 5 * MINUTE };
  const at = (nowMs: number) => lingerAt(preparation, NORMAL, nowMs);

  // A step is 3 minutes long, and takes a twentieth of the 25 minutes between: 75 s.
  test.each([
    [-HOUR, NORMAL],
    [0, NORMAL],
    [3 * MINUTE - 1, NORMAL],
    [3 * MINUTE, NORMAL - 75_000],
    [30 * MINUTE, NORMAL - 750_000],
    [60 * MINUTE - 1, 5 * MINUTE + 75_000],
    [60 * MINUTE, 5 * MINUTE],
    [99 * HOUR, 5 * MINUTE],
  ])("%d ms after its beginning is %d ms", (afterMs, lingerMs) => {
    expect(at(preparation.fromMs + afterMs)).toBe(lingerMs);
  });

  test("is the normal one where none is prepared, and where the cutover value is no shorter or no time", () => {
    expect(lingerAt(null, NORMAL, 11 * HOUR)).toBe(NORMAL);
    for (const lingerMs of [NORMAL, 2 * NORMAL, Number.NaN]) {
      for (const nowMs of [10, 10.5, 11, 12]) {
        expect(lingerAt({ ...preparation, lingerMs }, NORMAL, nowMs * HOUR)).toBe(NORMAL);
      }
    }
    expect(lingerAt({ ...preparation, lingerMs: -1 }, NORMAL, 11 * HOUR)).toBe(0);
  });

  test("comes down at once where the ramp takes no time", () => {
    const now = { ...preparation, untilMs: preparation.fromMs };
    expect(lingerAt(now, NORMAL, preparation.fromMs - 1)).toBe(NORMAL);
    expect(lingerAt(now, NORMAL, preparation.fromMs)).toBe(5 * MINUTE);
  });

  test("whatever the clock, lies between the two, never rises, and changes at most 20 times", () => {
    const span = fc.integer({ min: 1, max: 3 * HOUR });
    fc.assert(
      fc.property(span, span, span, (lastsMs, lingerMs, normalMs) => {
        const ramp = { fromMs: HOUR, untilMs: HOUR + lastsMs, lingerMs };
        const values = Array.from({ length: 400 }, (_, index) =>
          lingerAt(ramp, normalMs, HOUR + Math.floor((lastsMs * (index - 100)) / 200)),
        );
        expect(values).toEqual(values.toSorted((a, b) => b - a));
        expect(values[0]).toBe(normalMs);
        expect(values.at(-1)).toBe(Math.min(lingerMs, normalMs));
        expect(new Set(values).size).toBeLessThanOrEqual(21);
        expect(values.every((value) => Number.isInteger(value))).toBe(true);
      }),
    );
  });
});

describe("the share that is left after a cutover", () => {
  const lengths = kaplanMeier(
    lifeSample(Array.from({ length: 100 }, (_, index) => ({ exit: (index + 1) * MINUTE, ended: true }))),
  );
  const groups = [{ live: binAges(new Float64Array(40)), lengths }];
  const times = [0, 5 * MINUTE, 30 * MINUTE, 55 * MINUTE];
  const medians = (lingerMs: number, lingerers?: number[]) =>
    shareLeft(groups, lingerMs, times, lingerers).map(({ median }) => Math.round(median * 1e6) / 1e6);

  test("is what was open a linger before: the shorter linger is ahead by the difference", () => {
    expect(medians(0)).toEqual([1, 0.95, 0.7, 0.45]);
    expect(medians(5 * MINUTE)).toEqual([1, 1, 0.75, 0.5]);
    expect(medians(30 * MINUTE)).toEqual([1, 1, 1, 0.75]);
  });

  test("counts those that linger at the cutover", () => {
    // 40 open and 10 without a connection: 0.8 of those that hold it.
    const lingerers = Array.from({ length: 10 }, () => 5 * MINUTE);
    expect(medians(0, lingerers)).toEqual([1, 0.76, 0.56, 0.36]);
  });

  test("is none without a session", () => {
    expect(shareLeft([], NORMAL, [0, HOUR])).toEqual([
      { afterMs: 0, low: 0, median: 0, high: 0 },
      { afterMs: HOUR, low: 0, median: 0, high: 0 },
    ]);
  });
});

import { expect, test } from "vitest";
import { bytes, counted, distance, duration, expected, moment, named, number } from "./figures.ts";

test("a duration tells its two largest units and no more", () => {
  const MIN = 60_000;
  const HOUR = 60 * MIN;
  expect([0, 999, 1000, 59_999, MIN, 61_000, 65 * MIN, 25 * HOUR + 30 * MIN, 400 * 24 * HOUR].map(duration)).toEqual([
    "0s",
    "0s",
    "1s",
    "59s",
    "1m",
    "1m 1s",
    "1h 5m",
    "1d 1h",
    "400d",
  ]);
});

test("a duration that is not one, or below zero, is no number that could be believed", () => {
  expect(duration(Infinity)).toBe("for ever");
  expect(duration(NaN)).toBe("for ever");
  expect(duration(-5000)).toBe("0s");
});

test("counts are exact as long as they can be read, and short beyond", () => {
  expect([0, 12_345, 9_999_999, 12_345_678, 5e15].map(number)).toEqual(["0", "12,345", "9,999,999", "12.3M", "5000T"]);
  expect(number(Infinity)).toBe("∞");
});

test("an expectation keeps a decimal while it is small", () => {
  expect([0.04, 0.4, 4, 12.6].map(expected)).toEqual(["0", "0.4", "4", "13"]);
});

test("one thing is not many", () => {
  expect([
    counted(1, "session"),
    counted(2, "session"),
    counted(1, "batch", "batches"),
    counted(0, "batch", "batches"),
  ]).toEqual(["1 session", "2 sessions", "1 batch", "0 batches"]);
});

test("a size on disk is told in the unit that fits it", () => {
  expect([0, 1023, 1536, 5 * 1024 ** 3, 3 * 1024 ** 6].map(bytes)).toEqual([
    "0 B",
    "1,023 B",
    "1.5 KiB",
    "5 GiB",
    "3,145,728 TiB",
  ]);
});

test("a distance says on which side of now it is", () => {
  expect([distance(1000, 61_000), distance(61_000, 1000), distance(500, 1000)]).toEqual(["1m ago", "in 1m", "now"]);
});

test("a time of another day has its day, and what is no time is told as none", () => {
  const noon = new Date(2026, 10, 25, 12, 0).getTime();
  expect(moment(noon, noon)).toBe("12:00");
  expect(moment(noon + 86_400_000, noon)).toMatch(/^Thu,? 26 Nov, 12:00$/);
  expect(moment(NaN, noon)).toBe("at no time");
});

test("a long id is told by both of its ends, and never cut through a character", () => {
  expect(named("v42")).toBe("v42");
  const long = `v43-${"👩‍⚕️".repeat(100)}-tail`;
  expect(named(long)).toBe(`v43-${"👩‍⚕️".repeat(18)}…${"👩‍⚕️".repeat(7)}-tail`);
});

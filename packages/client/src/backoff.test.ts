import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { adviceIn, waitMs } from "./backoff.ts";

const backoff = { baseMs: 1000, capMs: 30_000 };

test("the wait is drawn from 0 up to a bound that doubles and is capped", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 5000].map((attempt) => waitMs(attempt, null, backoff, () => 1));
  expect(bounds).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(waitMs(3, null, backoff, () => 0.25)).toBe(2000);
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, drawn) => {
      const ms = waitMs(attempt, null, backoff, () => drawn);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThan(backoff.capMs);
    }),
  );
});

test("the server's advice is followed once; a connection that does not last is waited for as without it", () => {
  expect(waitMs(0, 500, backoff, () => 0.5)).toBe(250);
  expect(waitMs(0, 0, backoff, () => 0.5)).toBe(0);
  expect(waitMs(1, 0, backoff, () => 0.5)).toBe(1000);
});

describe("advice in a reason", () => {
  test.each([
    ["instance lost, connect again; retry=500", 500],
    ["retry=0", 0],
    ["busy; retry=10000; more", 10_000],
    ["retry=999999999", 600_000],
  ])("%s is %i ms", (reason, ms) => {
    expect(adviceIn(reason)).toBe(ms);
  });

  test.each([
    "",
    "session cut",
    "retry=",
    "retry=-1",
    "retry=1e3",
    "no retry=5",
    "retry=12345678901234567890",
    "xretry=1",
  ])("%j is none", (reason) => {
    expect(adviceIn(reason)).toBeNull();
  });
});

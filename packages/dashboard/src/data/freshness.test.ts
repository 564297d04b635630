import { expect, test } from "vitest";
import { freshnessOf } from "./freshness.ts";

test("before anything was heard there is nothing to be stale", () => {
  expect(freshnessOf({ statusAt: null, open: false }, 5)).toEqual({ kind: "connecting" });
  expect(freshnessOf({ statusAt: null, open: true }, 1e9)).toEqual({ kind: "connecting" });
});

test("what was heard is live for 12 s and no longer", () => {
  expect(freshnessOf({ statusAt: 1000, open: true }, 13_000)).toEqual({ kind: "live" });
  expect(freshnessOf({ statusAt: 1000, open: true }, 13_001)).toEqual({
    kind: "stale",
    ageMs: 12_001,
    why: "silent",
  });
});

test("a connection that broke makes what is shown stale at once, however fresh it was", () => {
  expect(freshnessOf({ statusAt: 1000, open: false }, 1001)).toEqual({ kind: "stale", ageMs: 1, why: "broken" });
});

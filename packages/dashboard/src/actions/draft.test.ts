import { expect, test } from "vitest";
import { orderOf, type Draft } from "./draft.ts";
import { readDuration } from "./duration-field.ts";

const draft: Draft = {
  release: "",
  dir: "",
  then: "promote",
  percent: 10,
  sessions: "finish",
  now: false,
  batch: 1,
  wait: "10m",
  grace: "",
};

test("durations are read as people write them, and nothing else is", () => {
  expect(["90s", "10m", "1.5h", " 2 d ", "250ms"].map(readDuration)).toEqual([
    90_000, 600_000, 5_400_000, 172_800_000, 250,
  ]);
  expect(["", "10", "10 minutes", "-1s", "1e9d", "8d", "1.5.5h"].map(readDuration)).toEqual(Array(7).fill(null));
});

test("nothing is asked of the API before it is filled in", () => {
  expect(orderOf({ action: "deploy", service: "s" }, { ...draft, release: "  " })).toHaveProperty("missing");
  const ramp = { action: "ramp", service: "s", release: "v2" } as const;
  for (const percent of [0, -1, 101, NaN]) expect(orderOf(ramp, { ...draft, percent })).toHaveProperty("missing");
  const restart = { action: "restart", service: "s" } as const;
  for (const wrong of [
    { batch: 0 },
    { batch: 1.5 },
    { batch: NaN },
    { batch: 257 },
    { wait: "soon" },
    { grace: "-" },
  ]) {
    expect(orderOf(restart, { ...draft, ...wrong })).toHaveProperty("missing");
  }
});

test("what is filled in is asked of the API as it takes it", () => {
  expect(orderOf({ action: "restart", service: "s" }, { ...draft, batch: 2 })).toEqual({
    request: { action: "restart", batch: 2, waitMs: 600_000 },
  });
  expect(orderOf({ action: "rollback", service: "s" }, { ...draft, release: "v1", sessions: "cut" })).toEqual({
    request: { action: "rollback", to: "v1", sessions: "cut" },
  });
  expect(orderOf({ action: "move", service: "s", key: "<b>" }, draft)).toEqual({
    request: { action: "move", key: "<b>" },
  });
});

import { afterEach, expect, test } from "vitest";
import { onSignals } from "./signals.ts";

let off: () => void = () => {};
afterEach(() => off());

test("SIGTERM drains, and forces only one that drains still: a drain that was called off is over", () => {
  const done: string[] = [];
  let draining = false;
  off = onSignals({
    isDraining: () => draining,
    drain: async () => {
      draining = true;
      done.push("drain");
    },
    force: (signal) => done.push(`force by ${signal}`),
  });
  process.emit("SIGTERM", "SIGTERM");
  draining = false;
  process.emit("SIGTERM", "SIGTERM");
  process.emit("SIGTERM", "SIGTERM");
  expect(done).toEqual(["drain", "drain", "force by SIGTERM"]);
});

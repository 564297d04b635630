import { expect, test } from "vitest";
import { createSignalCount } from "./signal-count.ts";

test("one Ctrl-C that arrives by several ways is one, and a second press half a second later is the second", () => {
  const count = createSignalCount();
  expect([0, 3, 90].map((atMs) => count("SIGINT", atMs))).toEqual([1, null, null]);
  expect([499, 500, 501, 1000].map((atMs) => count("SIGINT", atMs))).toEqual([null, 2, null, 3]);
});

test("another signal is never an echo", () => {
  const count = createSignalCount();
  expect([count("SIGHUP", 5), count("SIGTERM", 5), count("SIGTERM", 6)]).toEqual([1, 2, null]);
});

import { expect, test } from "vitest";
import { sessionOf } from "./session.ts";

const env = { HOLDOVER_INSTANCE: "rooms.v1-1" };
const headers = { "holdover-session": "gr%C3%BC%C3%9Fe", "holdover-fence": "7" };

test("a request tells its session and the fence of it", () => {
  expect(sessionOf({ headers }, env)).toEqual({ key: "grüße", fence: 7, label: null });
  const labelled = { ...headers, "holdover-label": "%C3%A4rztlich" };
  expect(sessionOf({ headers: labelled }, env)).toEqual({ key: "grüße", fence: 7, label: "ärztlich" });
});

test("nobody is believed where no Holdover is around", () => {
  expect(sessionOf({ headers }, {})).toBeNull();
});

test.each([
  ["nothing", {}],
  ["no fence", { "holdover-session": "a" }],
  ["a fence that is none", { "holdover-session": "a", "holdover-fence": "1.5" }],
  ["a fence below all", { "holdover-session": "a", "holdover-fence": "0" }],
  ["a key that cannot be read", { "holdover-session": "%E0%A4%A", "holdover-fence": "1" }],
  ["a label that cannot be read", { ...headers, "holdover-label": "%E0%A4%A" }],
  ["two keys", { "holdover-session": ["a", "b"], "holdover-fence": "1" }],
])("%s is no session", (_, headers) => {
  expect(sessionOf({ headers }, env)).toBeNull();
});

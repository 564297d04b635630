import { expect, test } from "vitest";
import { sessionOf } from "./session.ts";

const env = { HOLDOVER_INSTANCE: "rooms.v1-1" };
const headers = { "holdover-session": "gr%C3%BC%C3%9Fe", "holdover-fence": "7" };

test("a request tells its session and the fence of it", () => {
  expect(sessionOf({ headers }, env)).toEqual({ key: "grüße", fence: 7 });
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
  ["two keys", { "holdover-session": ["a", "b"], "holdover-fence": "1" }],
])("%s is no session", (_, headers) => {
  expect(sessionOf({ headers }, env)).toBeNull();
});

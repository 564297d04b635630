import { expect, test } from "vitest";
import { errorFromBody, HoldoverError } from "./errors.ts";
import { memberRejected, REJECTION_REASONS, rejectionOf } from "./member-rejection.ts";

test.each(REJECTION_REASONS)("a refusal for %s is told apart after it came over a link", (reason) => {
  const error = memberRejected("rooms.v1-1", reason, "it does not fit");
  expect(error.message).toBe("A worker that calls itself rooms.v1-1 was refused: it does not fit");
  const rejection = { instance: "rooms.v1-1", reason, problem: "it does not fit" };
  expect(rejectionOf(errorFromBody(error.body()), "another")).toEqual(rejection);
});

test("a refused table is one of whoever refused it; what is no refusal is none", () => {
  const refused = new HoldoverError("TABLE_REJECTED", { problem: "it is old" });
  expect(rejectionOf(refused, "rooms.v1-1")).toEqual({ instance: "rooms.v1-1", reason: "table", problem: "it is old" });
  expect(rejectionOf(new HoldoverError("LINK_DOWN"), "rooms.v1-1")).toBeNull();
  expect(rejectionOf(new HoldoverError("MEMBER_REJECTED", { reason: "whim" }), "rooms.v1-1")).toBeNull();
  expect(rejectionOf(new Error("x"), "rooms.v1-1")).toBeNull();
});

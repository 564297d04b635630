import { describe, expect, test } from "vitest";
import { sessionRequest } from "./session-request.ts";

const request = { service: "echo", key: "call-1", agent: "default", tenant: null, label: null, payload: null };
const take = (differs: Record<string, unknown>) => sessionRequest.safeParse({ ...request, ...differs });
const nested = (depth: number): unknown => (depth === 0 ? null : [nested(depth - 1)]);

describe("a session request", () => {
  test.each([
    ["a key of 256 bytes", { key: "é".repeat(128) }],
    ["no key", { key: null }],
    ["a payload of exactly 64 KiB", { payload: "x".repeat(65_534) }],
    ["a payload that is nested 64 deep", { payload: nested(64) }],
    ["a payload of false", { payload: false }],
    ["an agent with a name of 128 bytes in any script", { agent: "房".repeat(42) + "ab" }],
  ])("with %s is taken as it is", (_, differs) => {
    expect(take(differs).data).toEqual({ ...request, ...differs });
  });

  test.each([
    ["an empty key", { key: "" }, "Too small"],
    ["a key of 257 bytes", { key: "x".repeat(257) }, "Too big"],
    ["a key of 258 bytes in 129 characters", { key: "é".repeat(129) }, "over 256 bytes"],
    ["a line break in its key", { key: "a\nb" }, "control characters"],
    ["half a character in its key", { key: "\ud800" }, "control characters"],
    ["a key that is no text", { key: 7 }, "expected string"],
    ["no agent", { agent: null }, "expected string"],
    ["a tenant of 129 bytes", { tenant: "x".repeat(129) }, "Too big"],
    ["an empty label", { label: "" }, "Too small"],
    ["a payload over 64 KiB", { payload: "x".repeat(65_535) }, "65537 bytes of JSON"],
    ["a payload over 64 KiB in few characters", { payload: "é".repeat(40_000) }, "80002 bytes of JSON"],
    ["a payload that is nested 65 deep", { payload: nested(65) }, "nested over 64 deep"],
    [
      "a payload that is nested without end, nearly",
      { payload: JSON.parse("[".repeat(30_000) + "]".repeat(30_000)) },
      "nested over 64 deep",
    ],
    ["no payload", { payload: undefined }, "no JSON"],
  ])("with %s is refused", (_, differs, problem) => {
    expect(
      take(differs)
        .error?.issues.map(({ message }) => message)
        .join(),
    ).toContain(problem);
  });
});

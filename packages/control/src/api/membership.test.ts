import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startApi, type RunningApi } from "./api-fixture.ts";
import type { MembershipView } from "./membership-views.ts";

const MEMBER = "consultation.v1-1";

let running: RunningApi;
beforeEach(async () => {
  running = await startApi();
});
afterEach(() => running.stop());

const post = (path: string, body: unknown, headers = {}) =>
  running.bySocket(`/v1/membership/${path}`, { method: "POST", body, headers });
const shown = async () => (await running.bySocket("/v1/membership")).json() as MembershipView;
const lastEntry = async () => (await running.audit.tail(1))[0];

async function tokenOf(role: string): Promise<Record<string, string>> {
  const made = await running.bySocket("/v1/tokens", { method: "POST", body: { name: `a-${role}`, role } });
  return { authorization: `Bearer ${(made.json() as { secret: string }).secret}` };
}

test("the membership is shown with its keys and what each certificate is worth now", async () => {
  expect(await shown()).toEqual({
    epoch: 4,
    keys: [
      { publicKey: "new", sinceMs: 5, untilMs: null },
      { publicKey: "old", sinceMs: 1, untilMs: 9 },
    ],
    members: [
      {
        instance: MEMBER,
        service: "consultation",
        release: "v1",
        state: "valid",
        publicKey: "worker",
        joinedAtMs: 1,
        serial: 3,
        untilMs: 2000,
        revokedAtMs: null,
      },
    ],
  });
  running.clock.advance(1999);
  expect((await shown()).members[0]?.state).toBe("valid");
  running.clock.advance(1);
  expect((await shown()).members[0]?.state).toBe("expired");
});

describe("a rotation", () => {
  test("answers with what is now, and says who asked and why", async () => {
    const answer = await post("rotate", { reason: "once a year" }, { "holdover-actor": "ana" });
    expect([answer.status, (answer.json() as MembershipView).epoch]).toEqual([200, 5]);
    expect(await lastEntry()).toMatchObject({ kind: "key.rotated", actor: "operator:ana", reason: "once a year" });
  });

  test("needs no reason, and no body", async () => {
    expect((await running.bySocket("/v1/membership/rotate", { method: "POST" })).status).toBe(200);
    expect(await lastEntry()).toMatchObject({ reason: "asked for by the API" });
  });
});

describe("a revocation", () => {
  test("answers with what is now, and says who asked and why", async () => {
    const answer = await post("revoke", { instance: MEMBER, reason: "its machine was stolen" });
    expect(answer.json()).toMatchObject({
      epoch: 5,
      members: [{ instance: MEMBER, state: "revoked", revokedAtMs: 7 }],
    });
    expect(await lastEntry()).toMatchObject({ kind: "worker.revoked", reason: "its machine was stolen" });
  });

  test("of an instance that is no member is refused", async () => {
    const answer = await post("revoke", { instance: "consultation.v9-9", reason: "x" });
    expect([answer.status, answer.code()]).toEqual([404, "MEMBER_UNKNOWN"]);
  });

  test.each([
    ["no reason", { instance: MEMBER }],
    ["an empty reason", { instance: MEMBER, reason: "" }],
    ["a reason of two lines", { instance: MEMBER, reason: "a\nb" }],
    ["too long a reason", { instance: MEMBER, reason: "x".repeat(201) }],
    ["no instance", { reason: "x" }],
    ["too long an instance", { instance: "x".repeat(161), reason: "x" }],
    ["something more", { instance: MEMBER, reason: "x", now: true }],
  ])("with %s is wrong, and nothing is changed", async (_what, body) => {
    expect((await post("revoke", body)).code()).toBe("REQUEST_INVALID");
    expect((await shown()).epoch).toBe(4);
  });
});

test.each([
  ["viewer", 403],
  ["deployer", 403],
  ["admin", 200],
])("%s may read the membership; to change it is answered with %d", async (role, status) => {
  const headers = await tokenOf(role);
  expect((await running.byTcp("/v1/membership", { headers })).status).toBe(200);
  for (const path of ["rotate", "revoke"]) {
    const body = path === "revoke" ? { instance: MEMBER, reason: "x" } : {};
    expect((await running.byTcp(`/v1/membership/${path}`, { method: "POST", headers, body })).status).toBe(status);
  }
  expect((await shown()).epoch).toBe(status === 200 ? 6 : 4);
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FAILURES_MOST, FAILURES_PERIOD_MS } from "./failed-calls.ts";
import { startApi, TOKEN, type Answer, type RunningApi } from "./api-fixture.ts";

const PROMOTE = "/v1/services/consultation/releases/v1/promote";

let running: RunningApi;
beforeEach(async () => {
  running = await startApi();
});
afterEach(() => running.stop());

const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });

async function make(name: string, role: string, fields: object = {}): Promise<string> {
  const answer = await running.bySocket("/v1/tokens", { method: "POST", body: { name, role, ...fields } });
  expect(answer.status).toBe(201);
  return (answer.json() as { secret: string }).secret;
}

const call = (secret: string, method: string, path: string): Promise<Answer> =>
  running.byTcp(path, { method, ...bearer(secret) });

describe("a role", () => {
  test.each([
    ["viewer", 200, 403, 403],
    ["deployer", 200, 200, 403],
    ["admin", 200, 200, 202],
  ])("%s may read, change and end as far as it goes", async (role, read, change, end) => {
    const secret = await make("ci", role);
    expect((await call(secret, "GET", "/v1/status")).status).toBe(read);
    expect((await call(secret, "HEAD", "/v1/status")).status).toBe(read);
    expect((await call(secret, "POST", PROMOTE)).status).toBe(change);
    expect((await call(secret, "POST", "/v1/shutdown")).status).toBe(end);
    expect((await call(secret, "GET", "/v1/tokens")).status).toBe(role === "admin" ? 200 : 403);
  });

  test("that is too small is told with the one that is needed, and nothing was done or read", async () => {
    const secret = await make("eye", "viewer");
    const refused = await running.byTcp(PROMOTE, { method: "POST", ...bearer(secret), body: "{ no JSON" });
    expect(refused.json()).toMatchObject({
      error: { code: "FORBIDDEN", details: { token: "eye", role: "viewer", needed: "deployer" } },
    });
    expect(running.operations.calls).toEqual([]);
  });

  test("of every route that changes something is above viewer, but for a browser's coming and going", async () => {
    const secret = await make("eye", "viewer");
    const document = (await running.bySocket("/openapi.json")).json() as { paths: Record<string, object> };
    const changes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== "get" && !/^\/v1\/sign-|\/preview$/.test(path))
        .map((method) => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, "v1")] as const),
    );
    expect(changes.length).toBeGreaterThan(8);
    for (const [method, path] of changes)
      expect([path, (await call(secret, method, path)).status]).toEqual([path, 403]);
  });
});

describe("a token", () => {
  test("is told once and stored as a digest; who called with it stands in the audit log", async () => {
    const secret = await make("ci", "deployer");
    await running.byTcp(PROMOTE, {
      method: "POST",
      headers: { ...bearer(secret).headers, "holdover-actor": "ana" },
    });
    expect(running.operations.calls.at(-1)).toEqual(["promote", "consultation", "v1", "api:ci:ana"]);
    const shown = await running.bySocket("/v1/tokens");
    expect(shown.json()).toEqual({
      tokens: [{ name: "ci", role: "deployer", createdAtMs: 0, expiresAtMs: null, expired: false }],
    });
    expect(JSON.stringify([shown.text, running.audit.stored, running.logged])).not.toContain(secret);
  });

  test("is audited when it is made and when it is revoked, and lets nobody in from then on", async () => {
    const secret = await make("ci", "admin");
    const revoked = await running.byTcp("/v1/tokens/ci", { method: "DELETE", ...bearer(secret) });
    expect(revoked.json()).toEqual({ revoked: true });
    expect((await call(secret, "GET", "/v1/status")).status).toBe(401);
    expect(await running.audit.tail(2)).toMatchObject([
      { kind: "token.created", actor: "operator", detail: { token: "ci", role: "admin", expiresAtMs: null } },
      { kind: "token.revoked", actor: "api:ci", detail: { token: "ci" } },
    ]);
  });

  test("that has expired is refused as an unknown one is", async () => {
    const secret = await make("ci", "viewer", { lastsMs: 60_000 });
    running.clock.advance(59_999);
    expect((await call(secret, "GET", "/v1/status")).status).toBe(200);
    running.clock.advance(1);
    const expired = await call(secret, "GET", "/v1/status");
    const unknown = await call("holdover_unknown", "GET", "/v1/status");
    expect([expired.status, expired.text]).toEqual([401, unknown.text]);
    expect((await running.bySocket("/v1/tokens")).json()).toMatchObject({ tokens: [{ name: "ci", expired: true }] });
  });

  test.each([
    ["of a name that is taken", { name: "ci", role: "viewer" }, "TOKEN_EXISTS"],
    ["of the name of the first one", { name: "admin", role: "viewer" }, "TOKEN_EXISTS"],
    ["without a name", { role: "viewer" }, "REQUEST_INVALID"],
    ["with a name that could pass for another actor", { name: "ci:ana", role: "viewer" }, "REQUEST_INVALID"],
    ["of an unknown role", { name: "x", role: "owner" }, "REQUEST_INVALID"],
    ["that never was valid", { name: "x", role: "viewer", lastsMs: 0 }, "REQUEST_INVALID"],
    ["that lasts for ever and a day", { name: "x", role: "viewer", lastsMs: 1e300 }, "REQUEST_INVALID"],
  ])("%s is not made", async (_what, body, code) => {
    await make("ci", "viewer");
    const answer = await running.bySocket("/v1/tokens", { method: "POST", body });
    expect(answer.code()).toBe(code);
    expect((await running.bySocket("/v1/tokens")).json()).toMatchObject({ tokens: [{ name: "ci", role: "viewer" }] });
    expect(running.audit.stored).toHaveLength(1);
  });

  test("that is not there cannot be revoked", async () => {
    const answer = await running.bySocket("/v1/tokens/ci", { method: "DELETE" });
    expect([answer.status, answer.code()]).toEqual([404, "TOKEN_UNKNOWN"]);
    expect(running.audit.stored).toEqual([]);
  });
});

describe("calls without a valid token", () => {
  test("are answered with 429 once there were too many from an address, until the period is over", async () => {
    for (let n = 0; n < FAILURES_MOST; n += 1) expect((await call("wrong", "GET", "/v1/status")).status).toBe(401);
    const refused = await call("wrong", "GET", "/v1/status");
    expect([refused.status, refused.code(), refused.headers["retry-after"]]).toEqual([429, "TOO_MANY_FAILURES", "10"]);
    await call("wrong", "GET", "/v1/status");
    expect(running.logged).toHaveLength(1);
    expect((await call(TOKEN, "GET", "/v1/status")).status).toBe(200);
    running.clock.advance(FAILURES_PERIOD_MS);
    expect((await call("wrong", "GET", "/v1/status")).status).toBe(401);
  });
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MOVED, PREVIEW, startApi, type RunningApi } from "./api-fixture.ts";

const PREVIEWS = "/v1/services/consultation/preview";
const MOVES = "/v1/services/consultation/sessions/move";

let running: RunningApi;
beforeEach(async () => {
  running = await startApi();
});
afterEach(() => running.stop());

const post = (path: string, body: unknown) => running.bySocket(path, { method: "POST", body });
const makeToken = async (role: string) => {
  const answer = await post("/v1/tokens", { name: role, role });
  return { authorization: `Bearer ${(answer.json() as { secret: string }).secret}` };
};

describe("a preview", () => {
  test.each([
    [{ action: "deploy", release: "v4" }, {}],
    [{ action: "promote", release: "v3" }, {}],
    [{ action: "ramp", release: "v3", percent: 12.5 }, {}],
    [{ action: "rollback" }, { sessions: "finish" }],
    [{ action: "rollback", to: "v1", sessions: "cut" }, {}],
    [{ action: "retire", release: "v1" }, { now: false }],
    [{ action: "retire", release: "v1", now: true }, {}],
    [{ action: "restart", waitMs: 1000 }, { batch: 1 }],
    [{ action: "move", key: "room <b>7</b>" }, {}],
  ])("of %j is asked of control with its defaults %j", async (body, defaults) => {
    const answer = await post(PREVIEWS, body);
    expect([answer.status, answer.json()]).toEqual([200, PREVIEW]);
    expect(running.operations.calls).toEqual([["preview", "consultation", { ...body, ...defaults }]]);
  });

  test.each([
    ["no action", {}],
    ["an action that there is not", { action: "explode" }],
    ["a field that the action does not have", { action: "promote", release: "v1", now: true }],
    ["a release of 200 characters to be deployed", { action: "deploy", release: "v".repeat(200) }],
    ["a release with markup to be deployed", { action: "deploy", release: "<script>" }],
    ["a ramp to nothing", { action: "ramp", release: "v1", percent: 0 }],
    ["a ramp beyond all", { action: "ramp", release: "v1", percent: 101 }],
    ["a key that is too long for one", { action: "move", key: "k".repeat(257) }],
    ["a restart without a wait", { action: "restart" }],
  ])("with %s is refused", async (_what, body) => {
    const answer = await post(PREVIEWS, body);
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect(running.operations.calls).toEqual([]);
  });

  test("of a service that there is not is refused", async () => {
    const answer = await post("/v1/services/nobody/preview", { action: "rollback" });
    expect([answer.status, answer.code()]).toEqual([404, "SERVICE_UNKNOWN"]);
  });

  test("may be seen by a viewer, who may do none of it", async () => {
    const headers = await makeToken("viewer");
    const seen = await running.byTcp(PREVIEWS, { method: "POST", headers, body: { action: "rollback" } });
    expect(seen.status).toBe(200);
    const done = await running.byTcp("/v1/services/consultation/rollback", { method: "POST", headers, body: {} });
    expect([done.status, done.code()]).toEqual([403, "FORBIDDEN"]);
  });
});

describe("moving a session", () => {
  test("is asked of control with who asks, and tells where it lived and where it would go", async () => {
    const headers = { "holdover-actor": "ana" };
    const answer = await running.bySocket(MOVES, { method: "POST", headers, body: { key: "room-7" } });
    expect(answer.status).toBe(200);
    const { release, connections, to, job } = MOVED;
    expect(answer.json()).toEqual({ service: "consultation", key: "room-7", release, connections, to, job });
    expect(running.operations.calls).toEqual([["move", "consultation", "room-7", "operator:ana"]]);
  });

  test("needs the role of a deployer", async () => {
    const call = async (role: string) =>
      running.byTcp(MOVES, { method: "POST", headers: await makeToken(role), body: { key: "a" } });
    expect((await call("viewer")).code()).toBe("FORBIDDEN");
    expect((await call("deployer")).status).toBe(200);
  });

  test.each([{}, { key: 7 }, { key: "k".repeat(257) }, { key: "a", service: "b" }])(
    "by %j is refused",
    async (body) => {
      const answer = await post(MOVES, body);
      expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    },
  );
});

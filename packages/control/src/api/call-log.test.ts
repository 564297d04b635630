import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryOperations, startApi, TOKEN, type RunningApi } from "./api-fixture.ts";

const V1 = "/v1/services/consultation/releases/v1";

let running: RunningApi;
beforeEach(async () => {
  running = await startApi();
});
afterEach(() => running.stop());

test("a call that changes something is logged with its name, who made it and what it was about", async () => {
  const headers = { "holdover-actor": "ana", "x-request-id": "ci-7" };
  const answer = await running.bySocket(`${V1}/promote`, { method: "POST", headers });
  expect(answer.headers["holdover-request"]).toBe("ci-7");
  const route = "/v1/services/:service/releases/:release/promote";
  const about = { method: "POST", route, service: "consultation", release: "v1", ms: expect.any(Number) };
  expect(running.calls).toEqual([{ ...about, request: "ci-7", actor: "operator:ana", status: 200 }]);
  const byToken = { headers: { authorization: `Bearer ${TOKEN}` }, method: "POST" };
  const other = await running.byTcp(`${V1}/promote?token=secret`, byToken);
  expect(running.calls[1]).toMatchObject({ actor: "api:admin", request: other.headers["holdover-request"] });
  expect(JSON.stringify(running.calls)).not.toMatch(/secret|Bearer/);
});

test("one that is refused is logged all the same, and one that only reads is not", async () => {
  await running.bySocket("/v1/status");
  expect(running.calls).toEqual([]);
  const answer = await running.bySocket("/v1/services/nobody/rollback", { method: "POST", body: "{" });
  expect(answer.status).toBe(400);
  expect(running.calls).toMatchObject([{ service: "nobody", status: 400 }]);
});

test("what fails inside is logged with the name that its caller was told, a call that reads too", async () => {
  await running.stop();
  const fail = () => Promise.reject(new TypeError("a defect"));
  running = await startApi({}, createMemoryOperations({ sessions: fail }));
  const answer = await running.bySocket("/v1/sessions");
  const request = answer.headers["holdover-request"];
  expect(request).toMatch(/^[0-9a-f]{12}-/);
  expect(running.calls).toMatchObject([{ request, status: 500, route: "/v1/sessions" }]);
});

test("what stands in an address is logged in part only, and a name that no log should hold is not taken over", async () => {
  const headers = { "x-request-id": 'a"b' };
  const path = `/v1/services/${"x".repeat(250)}/releases/v1/promote`;
  const answer = await running.bySocket(path, { method: "POST", headers });
  expect(String(running.calls[0]?.["service"])).toHaveLength(200);
  expect(answer.headers["holdover-request"]).not.toContain('"');
});

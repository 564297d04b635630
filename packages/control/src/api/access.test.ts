import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApi } from "./api.ts";
import {
  createMemoryMembership,
  createMemorySigning,
  createMemoryTokenStore,
  startApi,
  TOKEN,
  type RunningApi,
} from "./api-fixture.ts";

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.stop());

describe("by TCP", () => {
  test("a call with the token is let in", async () => {
    expect((await running.byTcp("/v1/status")).status).toBe(200);
  });

  test.each([
    ["no token", {}],
    ["a wrong token", { authorization: "Bearer wrong" }],
    ["a token that only begins like the right one", { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ["the right token and more", { authorization: `Bearer ${TOKEN}x` }],
    ["an empty token", { authorization: "Bearer " }],
    ["another scheme", { authorization: `Basic ${TOKEN}` }],
  ])("a call with %s is refused, and told where the token is", async (_what, headers) => {
    const answer = await running.byTcp("/v1/status", { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
    expect(answer.json()).toMatchObject({ error: { code: "UNAUTHORIZED", details: { tokenFile: "/state/token" } } });
  });

  test.each(["/v1/shutdown", "/metrics", "/v1/events", "/no/such/route", "/%zz", "/healthz/", "//healthz"])(
    "%s is not answered without a token",
    async (path) => {
      const answer = await running.byTcp(path, { headers: {}, method: path === "/v1/shutdown" ? "POST" : "GET" });
      expect(answer.status).toBe(401);
      expect(running.operations.calls).toEqual([]);
    },
  );

  test.each(["/healthz", "/readyz", "/openapi.json", "/healthz?from=probe"])("%s needs no token", async (path) => {
    expect((await running.byTcp(path, { headers: {} })).status).toBe(200);
  });

  test.each(["evil.example", "evil.example:8090", "localhost.evil.example", "127.0.0.1.evil.example", "169.254.1.1"])(
    "a request for the host %j is refused even with the token: a web page may have led a browser here",
    async (host) => {
      const answer = await running.byTcp("/v1/status", { headers: { authorization: `Bearer ${TOKEN}`, host } });
      expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
      expect(answer.text).toContain("Host header");
    },
  );

  test.each(["localhost", "LocalHost:8090", "127.0.0.1:1", "127.1.2.3", "[::1]:8090"])(
    "a request for the host %s is let in",
    async (host) => {
      const answer = await running.byTcp("/v1/status", { headers: { authorization: `Bearer ${TOKEN}`, host } });
      expect(answer.status).toBe(200);
    },
  );

  test("a request with two Host headers is refused", async () => {
    const head = `GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n`;
    expect(await raw(running.url, `${head}Connection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("a request without a Host header is refused, by an old HTTP version too", async () => {
    expect(await raw(running.url, "GET /healthz HTTP/1.0\r\n\r\n")).toContain('"code":"REQUEST_INVALID"');
    expect(await raw(running.url, "GET /healthz HTTP/1.0\r\nHost:\r\n\r\n")).toContain('"code":"REQUEST_INVALID"');
  });

  test("the guard of the host holds for what needs no token too", async () => {
    expect((await running.byTcp("/openapi.json", { headers: { host: "evil.example" } })).status).toBe(400);
  });

  test("what is not HTTP is answered with an error of the table, and the connection ends", async () => {
    const answer = await raw(running.url, "NONSENSE\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"REQUEST_MALFORMED"');
  });

  test("a head that is too large is answered with an error of the table", async () => {
    const answer = await raw(running.url, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(answer).toContain('"code":"HEAD_TOO_LARGE"');
  });
});

test("by the unix socket no token is asked for, and any host will do", async () => {
  expect((await running.bySocket("/v1/status")).status).toBe(200);
  expect((await running.bySocket("/v1/status", { headers: { host: "control" } })).status).toBe(200);
});

describe("who asked", () => {
  const promote = "/v1/services/consultation/releases/v1/promote";
  const last = () => running.operations.calls.at(-1);
  const token = { authorization: `Bearer ${TOKEN}` };

  test("is the operator on the unix socket, and api with the name of the token by TCP", async () => {
    await running.bySocket(promote, { method: "POST" });
    expect(last()).toEqual(["promote", "consultation", "v1", "operator"]);
    await running.byTcp(promote, { method: "POST" });
    expect(last()).toEqual(["promote", "consultation", "v1", "api:admin"]);
  });

  test("is refined by the header Holdover-Actor, which does not change the way that was taken in", async () => {
    await running.bySocket(promote, { method: "POST", headers: { "holdover-actor": "ana" } });
    expect(last()?.at(-1)).toBe("operator:ana");
    await running.byTcp(promote, { method: "POST", headers: { ...token, "holdover-actor": "operator" } });
    expect(last()?.at(-1)).toBe("api:admin:operator");
  });

  test.each(["", "x".repeat(65), "tab\there", "né"])("cannot be %j", async (name) => {
    const before = running.operations.calls.length;
    const answer = await running.bySocket(promote, { method: "POST", headers: { "holdover-actor": name } });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect(answer.text).toContain("header.holdover-actor");
    expect(running.operations.calls).toHaveLength(before);
  });
});

test("an API without a token is not made at all", async () => {
  const { operations, audit } = running;
  const made = createApi({
    operations,
    audit,
    signing: createMemorySigning(audit),
    tokens: createMemoryTokenStore(audit),
    membership: createMemoryMembership(audit),
    token: "",
    tokenFile: "/state/token",
    page: "/no/page",
    version: "1",
    ready: () => null,
    metrics: async () => "",
    copyStores: async () => {},
  });
  await expect(made).rejects.toMatchObject({ code: "INTERNAL" });
});

/** Sends bytes as they are and returns all that comes back until the connection ends. */
async function raw(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.setEncoding("utf8");
  socket.write(bytes);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

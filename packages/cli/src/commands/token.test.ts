import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { fakeApi, NOW_MS, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  vi.stubEnv("TZ", "UTC");
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await api.remove();
});

async function run(line: string) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

const CI = { name: "ci", role: "deployer", createdAtMs: NOW_MS, expiresAtMs: NOW_MS + 3_600_000, expired: false };

test("token create shows the token alone on standard output, and what it is beside it", async () => {
  api.handlers.set("POST /v1/tokens", () => ({ ...CI, secret: "holdover_x" }));
  const made = await run("token create --role deployer --name ci --expires 1h");
  expect(made).toEqual({
    exit: 0,
    out: "holdover_x\n",
    err: "The token ci has the role deployer until 23:13:20. Keep it now: it is not shown again.\n",
  });
  expect(api.calls.at(-1)?.body).toEqual({ name: "ci", role: "deployer", lastsMs: 3_600_000 });
  await run("token create --role viewer --name grafana");
  expect(api.calls.at(-1)?.body).toEqual({ name: "grafana", role: "viewer" });
});

test.each([
  ["token create --role owner --name ci", "Allowed choices are viewer, deployer, admin"],
  ["token create --role admin", "--name <name>"],
  ["token create --name ci", "--role <role>"],
  ["token create --role admin --name ci --expires soon", "Write a duration"],
])("%s is wrong usage, and calls nobody", async (line, problem) => {
  const { exit, err } = await run(line);
  expect([exit, api.calls]).toEqual([2, []]);
  expect(err).toContain(problem);
});

test("token list tells what has expired, and with --json all of it", async () => {
  const tokens = [CI, { ...CI, name: "old", role: "viewer", expiresAtMs: NOW_MS - 1000, expired: true }];
  api.handlers.set("GET /v1/tokens", () => ({ tokens }));
  expect((await run("token list")).out.split("\n")).toEqual([
    "NAME  ROLE      CREATED   EXPIRES",
    "ci    deployer  22:13:20  23:13:20",
    "old   viewer    22:13:20  22:13:19  expired",
    "",
  ]);
  expect(JSON.parse((await run("token list --json")).out)).toEqual(tokens);
});

test("token revoke says what it did, or that there is none", async () => {
  api.handlers.set("DELETE /v1/tokens/ci", () => ({ revoked: true }));
  expect((await run("token revoke ci")).out).toBe("The token ci is revoked.\n");
  api.handlers.set("DELETE /v1/tokens/ci", () => new HoldoverError("TOKEN_UNKNOWN", { token: "ci" }));
  expect(await run("token revoke ci")).toMatchObject({ exit: 2 });
});

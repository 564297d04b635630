import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { fakeApi, NOW_MS, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

const OPENED = { key: "call-1", release: "v1", instance: "rooms.v1-1", fence: 4 };

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
  api.handlers.set("POST /v1/services/rooms/sessions", () => OPENED);
});
afterEach(() => api.remove());

async function run(...line: string[]) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
  const exit = await main(line, terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

test("sessions open sends what was given and nothing else, and says where it runs", async () => {
  expect(await run("sessions", "open", "rooms")).toMatchObject({
    exit: 0,
    out: "Session call-1 runs on rooms.v1-1, release v1.\n",
  });
  expect(api.calls.at(-1)?.body).toEqual({});
  const named = ["--key", "call-1", "--agent", "echo", "--tenant", "acme", "--label", "short"];
  const told = await run("sessions", "open", "rooms", ...named, "--payload", '{"url": "ws://x/"}', "--json");
  expect(JSON.parse(told.out)).toEqual(OPENED);
  expect(api.calls.at(-1)?.body).toEqual({
    key: "call-1",
    agent: "echo",
    tenant: "acme",
    label: "short",
    payload: { url: "ws://x/" },
  });
});

test("a payload that is no JSON is wrong usage, and calls nobody", async () => {
  const { exit, err } = await run("sessions", "open", "rooms", "--payload", "{url: x}");
  expect([exit, api.calls]).toEqual([2, []]);
  expect(err).toContain("--payload is not JSON.");
});

test("a session that nobody took ends with 1 and the reasons", async () => {
  const details = { service: "rooms", key: "call-1", reasons: "full × 2" };
  api.handlers.set("POST /v1/services/rooms/sessions", () => new HoldoverError("WORKER_NONE", details));
  const { exit, err } = await run("sessions", "open", "rooms");
  expect(exit).toBe(1);
  expect(err).toContain("No worker of service rooms took the session call-1: full × 2.");
});

test("sessions still lists, also those of one service", async () => {
  api.handlers.set("GET /v1/sessions", () => ({ sessions: [], matches: 0 }));
  expect((await run("sessions", "rooms")).exit).toBe(0);
  expect((await run("sessions")).exit).toBe(0);
});

import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { fakeApi, NOW_MS, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

const MOVED = { service: "rooms", key: "lobby", release: "v1", connections: 2, to: "v2", job: false };

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
});
afterEach(() => api.remove());

async function run(moved: object, ...line: string[]) {
  api.handlers.set("POST /v1/services/rooms/sessions/move", () => moved);
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
  const exit = await main(["sessions", "move", ...line], terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

test.each([
  [{}, "Session lobby leaves release v1: its 2 connections are asked to come back, and placed on v2.\n"],
  [{ connections: 1 }, "Session lobby leaves release v1: its connection is asked to come back, and placed on v2.\n"],
  [{ connections: 0 }, "Session lobby leaves release v1; whoever comes back is placed on v2.\n"],
  [{ job: true }, "Session lobby is a job on release v1: it is asked to finish, and stays until it has.\n"],
])("sessions move says what becomes of a session with %j", async (fields, out) => {
  expect(await run({ ...MOVED, ...fields }, "lobby")).toEqual({ exit: 0, out, err: "" });
  expect(api.calls.at(-1)).toMatchObject({ target: "/v1/services/rooms/sessions/move", body: { key: "lobby" } });
});

test("sessions move tells a script all of it, and takes a service and any key", async () => {
  const { out } = await run(MOVED, "a room: <b>7</b>", "rooms", "--json");
  expect(JSON.parse(out)).toEqual(MOVED);
  expect(api.calls.at(-1)?.body).toEqual({ key: "a room: <b>7</b>" });
});

test("a session that is not live ends with 2, and says where to look", async () => {
  const failed = await run(new HoldoverError("SESSION_NOT_LIVE", { service: "rooms", key: "lobby" }), "lobby");
  expect(failed.exit).toBe(2);
  expect(failed.err).toContain("No session lobby of rooms lives on an instance now.");
});

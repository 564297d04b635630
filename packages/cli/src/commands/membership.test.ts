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

async function run(...words: string[]) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
  const exit = await main(words, terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

const HOUR_MS = 3_600_000;
const [NEW, OLD] = ["n".repeat(43), "o".repeat(43)];
const MEMBER = {
  instance: "rooms.v1-1",
  service: "rooms",
  release: "v1",
  state: "valid",
  publicKey: "w".repeat(43),
  joinedAtMs: NOW_MS,
  serial: 12,
  untilMs: NOW_MS + HOUR_MS,
  revokedAtMs: null,
};
const VIEW = {
  epoch: 7,
  keys: [
    { publicKey: NEW, sinceMs: NOW_MS, untilMs: null },
    { publicKey: OLD, sinceMs: NOW_MS - HOUR_MS, untilMs: NOW_MS + HOUR_MS },
  ],
  members: [
    MEMBER,
    { ...MEMBER, instance: "rooms.v1-2", serial: 3, state: "expired", untilMs: NOW_MS - 1000 },
    { ...MEMBER, instance: "rooms.v1-3", serial: 4, state: "revoked", revokedAtMs: NOW_MS - 2000 },
  ],
};

test("membership show tells the epoch, the keys and the members, and with --json all of it", async () => {
  api.handlers.set("GET /v1/membership", () => VIEW);
  expect((await run("membership", "show")).out.split("\n")).toEqual([
    "epoch 7",
    "",
    `KEY${" ".repeat(42)}SINCE     SIGNS`,
    `${NEW}  22:13:20  current`,
    `${OLD}  21:13:20  until 23:13:20`,
    "",
    "INSTANCE    SERVICE  RELEASE  JOINED    SERIAL  CERTIFICATE",
    "rooms.v1-1  rooms    v1       22:13:20  12      until 23:13:20",
    "rooms.v1-2  rooms    v1       22:13:20  3       expired 22:13:19",
    "rooms.v1-3  rooms    v1       22:13:20  4       revoked 22:13:18",
    "",
  ]);
  expect(JSON.parse((await run("membership", "show", "--json")).out)).toEqual(VIEW);
  api.handlers.set("GET /v1/membership", () => ({ ...VIEW, members: [] }));
  expect((await run("membership", "show")).out).toContain("\nNo instance has joined.\n");
});

test("membership rotate tells the new key, and how long the one before goes on", async () => {
  api.handlers.set("POST /v1/membership/rotate", () => VIEW);
  expect(await run("membership", "rotate", "--reason", "once a year")).toEqual({
    exit: 0,
    out: `The signing key is ${NEW} now, in epoch 7.\n`,
    err: "The one before signs as well until 23:13:20. Nothing else is to be done.\n",
  });
  expect(api.calls.at(-1)?.body).toEqual({ reason: "once a year" });
  expect(JSON.parse((await run("membership", "rotate", "--json")).out)).toEqual(VIEW);
  expect(api.calls.at(-1)?.body).toEqual({});
});

test("membership revoke says what it did, and what not, or that there is no such member", async () => {
  api.handlers.set("POST /v1/membership/revoke", () => VIEW);
  expect(await run("membership", "revoke", "rooms.v1-3", "--reason", "its machine was stolen")).toEqual({
    exit: 0,
    out: "The instance rooms.v1-3 is revoked, in epoch 7.\n",
    err: "The sessions that it has go on. To end them, retire its release or restart the service.\n",
  });
  expect(api.calls.at(-1)?.body).toEqual({ instance: "rooms.v1-3", reason: "its machine was stolen" });
  api.handlers.set("POST /v1/membership/revoke", () => new HoldoverError("MEMBER_UNKNOWN", { instance: "x" }));
  expect(await run("membership", "revoke", "x", "--reason", "y")).toMatchObject({ exit: 2, out: "" });
});

test.each([
  [["membership"], "show"],
  [["membership", "revoke", "rooms.v1-3"], "--reason <text>"],
  [["membership", "revoke", "--reason", "x"], "instance"],
  [["membership", "revoke", "rooms.v1-3", "--reason", ""], "1 to 200 characters"],
  [["membership", "rotate", "--reason", "a\nb"], "1 to 200 characters"],
])("%j is wrong usage, and calls nobody", async (words, problem) => {
  const { exit, err } = await run(...words);
  expect([exit, api.calls]).toEqual([2, []]);
  expect(err).toContain(problem);
});

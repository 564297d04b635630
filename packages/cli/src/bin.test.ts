import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fakeApi, NOW_MS, releaseView, serviceView, statusView, type FakeApi } from "./api-fixture.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const BIN = join(ROOT, "packages/cli/bin/holdover.js");

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services: { rooms: { command: node server.js, dir: . } }\n");
  await api.start();
});
afterEach(async () => api.remove());

function start(program: string, words: readonly string[]) {
  const path = [join(ROOT, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const child = spawn(program, words, { cwd: api.dir, env: { ...process.env, PATH: path, FORCE_COLOR: undefined } });
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text.err += chunk.toString()));
  const ended = once(child, "close").then(([code, signal]: unknown[]) => ({ code, signal, ...text }));
  return { child, ended };
}

test("the installed command prints the tree into a pipe without an escape code and ends with 0", async () => {
  api.handlers.set("GET /v1/status", () => statusView([serviceView([releaseView("v1", "current")])]));
  const { code, out, err } = await start(BIN, ["status"]).ended;
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toContain("└─ v1  current  takes new  0 open, 0 lingering, 0 connections\n");
  expect(out).not.toContain("\u001b");
});

test("where nothing runs, --json is one object on standard output, nothing on standard error, and exit 3", async () => {
  await api.stop();
  const { code, out, err } = await start(BIN, ["releases", "--json"]).ended;
  expect({ code, err }).toEqual({ code: 3, err: "" });
  expect(JSON.parse(out)).toMatchObject({ error: { code: "NOT_RUNNING" } });
});

test("a reader that has seen enough ends the command quietly", async () => {
  let calls = 0;
  api.handlers.set("GET /v1/status", () => statusView([], { startedAtMs: NOW_MS - calls++ * 1000 }));
  const { child, ended } = start(BIN, ["status", "-w"]);
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await ended).toMatchObject({ code: 0, signal: null, err: "" });
});

test("Ctrl-C during a deploy ends with 130 and leaves the deploy alone", async () => {
  api.handlers.set("GET /v1/status", () => statusView([]));
  const starting = () => releaseView("v2", "starting", { digest: null });
  api.handlers.set("POST /v1/services/rooms/releases", starting);
  api.handlers.set("GET /v1/services/rooms/releases/v2", starting);
  const { child, ended } = start(BIN, ["deploy", "--release", "v2"]);
  await once(child.stderr, "data");
  child.kill("SIGINT");
  const { code, err } = await ended;
  expect(code).toBe(130);
  expect(err).toContain("The deploy of v2 goes on.");
});

test("on an old Node it says in three lines which one it needs, and loads no TypeScript", async () => {
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.5" } })';
  const { code, err } = await start(process.execPath, ["--import", `data:text/javascript,${old}`, BIN, "status"]).ended;
  expect(code).toBe(2);
  expect(err.split("\n")).toEqual([
    "Holdover needs Node 24 or newer; this is Node 20.19.5.",
    expect.stringContaining("npx holdover"),
    "NODE_TOO_OLD",
    "",
  ]);
});

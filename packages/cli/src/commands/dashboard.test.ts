import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { fakeApi, NOW_MS, type FakeApi } from "../api-fixture.ts";
import { openerOf } from "../browser.ts";
import { main } from "../main.ts";
import { stateDirOf, type StateDir } from "../state-dir.ts";
import { fakeTerminal, type FakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

const CODE = "c0de".repeat(10);
const LINK = `http://127.0.0.1:8090/#code=${CODE}`;
const EXPIRES_AT_MS = NOW_MS + 600_000;

let api: FakeApi;
let state: StateDir;
/** Names of the tokens that there are. */
let tokens: string[];
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
  state = stateDirOf(join(api.dir, ".holdover"));
  await writeFile(state.addresses, JSON.stringify({ api: "http://127.0.0.1:8090" }));
  tokens = ["ci", "page-00000001"];
  api.handlers.set("POST /v1/sign-in-links", () => ({ path: `/#code=${CODE}`, expiresAtMs: EXPIRES_AT_MS }));
  api.handlers.set("GET /v1/tokens", () => ({
    tokens: tokens.map((name) => ({ name, role: "admin", createdAtMs: 0, expiresAtMs: null, expired: false })),
  }));
});
afterEach(() => api.remove());

async function run(
  line: string,
  env: Record<string, string> = {},
  onPause: (terminal: FakeTerminal) => void = () => {},
) {
  const terminal = fakeTerminal({
    cwd: api.dir,
    nowMs: NOW_MS,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    onPause: (_ms, paused) => onPause(paused),
  });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

/** A desktop whose opener notes what it was given, as a browser would read it. */
async function desktop(script: string): Promise<Record<string, string>> {
  const bin = join(api.dir, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "xdg-open"), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, "xdg-open"), 0o755);
  return { DISPLAY: ":0", PATH: `${bin}:${process.env["PATH"] ?? ""}`, NOTES: join(api.dir, "notes") };
}
const NOTE = 'mkdir "$NOTES"; echo "$@" > "$NOTES/argv"; cp "$1" "$NOTES/page"; stat -c %a "$1" > "$NOTES/mode"';
const left = async () => (await readdir(state.run)).filter((name) => name.endsWith(".html"));

describe("without a desktop, or where it is asked for", () => {
  test.each(["dashboard", "dashboard --print"])("%s shows the link, alone on standard output", async (line) => {
    const env = line === "dashboard" ? {} : await desktop("exit 0");
    expect(await run(line, env)).toEqual({ exit: 0, out: `${LINK}\n`, err: "It works once, for 10 minutes.\n" });
    expect(await left()).toEqual([]);
  });

  test("for a script it is JSON, and nothing is opened", async () => {
    const { exit, out, err } = await run("dashboard --json", await desktop(NOTE));
    expect([exit, JSON.parse(out), err]).toEqual([0, { url: LINK, expiresAtMs: EXPIRES_AT_MS }, ""]);
    await expect(stat(join(api.dir, "notes"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test.each([
    ["http://0.0.0.0:8090", "http://localhost:8090"],
    ["https://[::]:443", "https://localhost:443"],
    ["https://10.0.0.1:8090", "https://10.0.0.1:8090"],
  ])("an API that listens on %s is reached at %s", async (listens, reached) => {
    await writeFile(state.addresses, JSON.stringify({ api: listens }));
    expect((await run("dashboard --print")).out).toBe(`${reached}/#code=${CODE}\n`);
  });

  test("where Holdover does not run that is said, and no link is made up", async () => {
    await api.stop();
    const { exit, out, err } = await run("dashboard");
    expect([exit, out]).toEqual([3, ""]);
    expect(err).toContain("NOT_RUNNING");
  });
});

describe("on a desktop", () => {
  test("the browser is led to the link by a file that only its owner can read, and no process has the link in its arguments", async () => {
    const env = await desktop(NOTE);
    let polls = 0;
    const { exit, out, err } = await run("dashboard", env, () => {
      polls += 1;
      if (polls === 2) tokens.push("page-00000002");
    });
    expect([exit, err]).toEqual([0, ""]);
    expect(out).toBe("The dashboard is open in your browser, which is signed in as page-00000002.\n");
    const note = (name: string) => readFile(join(api.dir, "notes", name), "utf8");
    expect((await note("mode")).trim()).toBe("600");
    expect(await note("page")).toContain(`content="0; url=${LINK}"`);
    const argv = (await note("argv")).trim();
    expect(argv).toMatch(new RegExp(`^${state.run}/dashboard-[0-9a-f]{16}\\.html$`));
    expect(await left()).toEqual([]);
  });

  test("that opens nothing the link is shown, and its file is gone", async () => {
    expect(await run("dashboard", await desktop("exit 3"))).toMatchObject({ exit: 0, out: `${LINK}\n` });
    expect(await run("dashboard", { DISPLAY: ":0", PATH: "/nowhere" })).toMatchObject({ exit: 0, out: `${LINK}\n` });
    expect(await left()).toEqual([]);
  });

  test("whose browser does not come the link is shown after 20 s, and its file is gone", async () => {
    let pauses = 0;
    const { exit, out, err } = await run("dashboard", await desktop("exit 0"), () => void (pauses += 1));
    expect([exit, out, pauses]).toEqual([0, `${LINK}\n`, 80]);
    expect(err).toContain("The browser has not come.");
    expect(await left()).toEqual([]);
  });

  test("Ctrl-C ends the wait for it, and takes the file away", async () => {
    const { exit, out } = await run("dashboard", await desktop("exit 0"), (terminal) => terminal.interrupt());
    expect([exit, out]).toEqual([130, ""]);
    expect(await left()).toEqual([]);
  });
});

test.each([
  ["linux", { DISPLAY: ":0" }, "xdg-open"],
  ["linux", { WAYLAND_DISPLAY: "wayland-0" }, "xdg-open"],
  ["linux", {}, null],
  ["linux", { DISPLAY: ":10.0", SSH_CONNECTION: "10.0.0.2 5 10.0.0.1 22" }, null],
  ["darwin", {}, "open"],
  ["darwin", { SSH_CONNECTION: "10.0.0.2 5 10.0.0.1 22" }, null],
] as const)("on %s with %j a page is opened by %s", (platform, env, opener) => {
  expect(openerOf(env, platform)).toBe(opener);
});

import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { main } from "../main.ts";
import { fakeTerminal, type FakeTerminalOptions } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let dir: string;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), "holdover-init-")), "Chat Rooms");
  await mkdir(dir);
});
afterEach(() => rm(dirname(dir), { recursive: true }));

async function init(words: readonly string[], options: Partial<FakeTerminalOptions> = {}) {
  const terminal = fakeTerminal({ cwd: dir, ...options });
  const exit = await main(["init", ...words], terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

const typed = (...lines: string[]): Partial<FakeTerminalOptions> => ({
  isTTY: true,
  input: lines.map((line) => `${line}\n`).join(""),
});

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}

async function service() {
  const { config, sections } = await loadConfig("holdover.yaml", dir);
  const [[name, section] = ["", {}]] = Object.entries(sections);
  return { name, section, session: config.services[name]?.session };
}

const APP = {
  "package.json": JSON.stringify({ scripts: { start: "node src/server.js" } }),
  "src/server.js": [
    'const room = new URL(request.url, "http://x").searchParams.get("room");',
    'if (request.url === "/healthz") response.end();',
    "server.listen(process.env.PORT);",
  ].join("\n"),
};

test("three questions, each with its default and what speaks for it; Enter takes the default", async () => {
  await write(APP);
  const { exit, err } = await init([], typed("", "", "?room"));
  expect(exit).toBe(0);
  expect(err).toContain("Name of the service [chat-rooms]: ");
  expect(err).toContain("Its start is taken from package.json.\nCommand that starts it [node src/server.js]: ");
  expect(err).toContain("Seen in the sources, if it is what names a session: ?room (src/server.js:1)\n");
  expect(await service()).toMatchObject({
    name: "chat-rooms",
    section: { command: "node src/server.js", dir: ".", release: "v1" },
    session: { key: [{ query: "room" }] },
  });
});

test("a session key that the sources suggest stands in the file as a comment, and holds only when it was answered", async () => {
  await write(APP);
  await init(["--yes"]);
  expect((await service()).session?.key).toEqual([]);
  const text = await readFile(join(dir, "holdover.yaml"), "utf8");
  expect(text).toContain("      key: []\n      # [{ query: room }] # seen in src/server.js:1\n");
  expect(text).toContain("    # health: { path: /healthz } # seen in src/server.js:2;");
});

test("an answer that cannot be is told in a sentence, and asked again", async () => {
  const answers = ["Chat!", "chat", "npm run build && node .", "node .", "room", "/rooms", "?room, header x-room"];
  const { exit, err } = await init([], typed(...answers));
  expect(exit).toBe(0);
  expect(err.split("\n")).toEqual(
    expect.arrayContaining([
      expect.stringContaining('"Chat!" cannot be the name of a service. Write 1 to 40 of a-z, 0-9 and dash'),
      expect.stringContaining("No shell reads the command, so && means nothing in it."),
      expect.stringContaining('"room" names no place in a request. Write ?room, /rooms/:room, header x-room'),
      expect.stringContaining('"/rooms" cannot be: a path pattern starts with / and has one part such as :room'),
    ]),
  );
  expect(await service()).toMatchObject({
    name: "chat",
    section: { command: "node ." },
    session: { key: [{ query: "room" }, { header: "x-room" }] },
  });
});

test("flags answer without being asked, and what they cannot be is wrong usage and writes nothing", async () => {
  const given = ["--service", "rooms", "--command", "./run", "--session-key", "cookie sid", "--dir", "build"];
  const { exit, err } = await init(given, typed());
  expect({ exit, err }).toEqual({ exit: 0, err: "" });
  expect(await service()).toMatchObject({
    name: "rooms",
    section: { dir: "build" },
    session: { key: [{ cookie: "sid" }] },
  });
  for (const wrong of [
    ["--service", "Rooms"],
    ["--session-key", "room"],
    ["--command", "a | b"],
  ]) {
    const { exit, err } = await init(["--config", "other.yaml", ...wrong]);
    expect(exit).toBe(2);
    expect(err).toContain("USAGE_INVALID");
  }
  await expect(access(join(dir, "other.yaml"))).rejects.toThrow("ENOENT");
});

test("a file that is there is kept, before anything is asked, unless --force is given", async () => {
  await write({ "holdover.yaml": "mine" });
  const kept = await init([], typed("", "", ""));
  expect(kept).toMatchObject({ exit: 4, err: expect.stringMatching(/^holdover\.yaml is there already/) });
  expect(await readFile(join(dir, "holdover.yaml"), "utf8")).toBe("mine");
  expect((await init(["--force", "--yes"])).exit).toBe(0);
  expect((await service()).name).toBe("chat-rooms");
});

test("questions that are broken off write nothing", async () => {
  expect((await init([], typed("rooms"))).exit).toBe(130);
  await expect(access(join(dir, "holdover.yaml"))).rejects.toThrow("ENOENT");
});

test("afterwards it says what is left to do, and nothing that is done", async () => {
  await write(APP);
  const ready = await init(["--session-key", "?room"]);
  expect(ready.out).toBe(
    [
      "Wrote holdover.yaml. Next:",
      "  1. `holdover up` starts it, and makes v1 current.",
      "  2. `holdover deploy chat-rooms --release v2` ships what is in the directory then.",
      "",
    ].join("\n"),
  );
  await write({
    "package.json": JSON.stringify({ scripts: { start: "PORT=3000 node src/server.js" } }),
    "src/server.js": "server.listen(3000);",
    ".git/HEAD": "ref: refs/heads/main",
    ".gitignore": "node_modules/\n",
  });
  const { out } = await init(["--force"]);
  for (const step of [
    "Let it listen on the port in PORT",
    "Take the port out of the start script",
    "Set session.key",
    "Add .holdover/ to .gitignore",
  ]) {
    expect(out).toContain(step);
  }
  await write({ ".gitignore": "node_modules/\n.holdover/\n" });
  expect((await init(["--force"])).out).not.toContain(".gitignore");
});

test("with --json the answers and the suggestions are one line", async () => {
  await write(APP);
  const { out } = await init(["--json"]);
  expect(JSON.parse(out)).toEqual({
    file: join(dir, "holdover.yaml"),
    service: "chat-rooms",
    command: "node src/server.js",
    key: [],
    dir: ".",
    suggested: [{ place: { query: "room" }, where: "src/server.js:1" }],
  });
});

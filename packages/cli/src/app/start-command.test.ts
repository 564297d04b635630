import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startCommandIn } from "./start-command.ts";

let dir: string;
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), "holdover-start-"))));
afterEach(() => rm(dir, { recursive: true }));

async function commandOf(files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return startCommandIn(dir);
}

const script = (start: string) => ({ "package.json": JSON.stringify({ scripts: { start } }) });

test.each([
  ["node server.js", "node server.js"],
  ["node --import ./register.mjs src/server.ts", "node --import ./register.mjs src/server.ts"],
  ["python3 -m uvicorn app:app", "python3 -m uvicorn app:app"],
  // What npm, a shell or node_modules/.bin is needed for stays npm's.
  ["NODE_ENV=production node server.js", "npm start"],
  ["tsx src/server.ts", "npm start"],
  ["npm run build && node dist/server.js", "npm start"],
  ['node -e "console.log(1)"', "npm start"],
])("the start script %j is started by %j", async (start, command) => {
  expect(await commandOf(script(start))).toMatchObject({ command, from: "package.json" });
});

test("a start script that chooses its own port is told", async () => {
  expect(await commandOf(script("PORT=3000 node server.js"))).toMatchObject({ choosesPort: true });
  expect(await commandOf(script("node server.js --port 3000"))).toMatchObject({ choosesPort: true });
  expect(await commandOf(script("node server.js"))).toMatchObject({ choosesPort: false });
});

test("a Procfile comes before package.json, and that before a Dockerfile and a file that looks like the main one", async () => {
  expect(await commandOf({})).toMatchObject({ command: "node server.js", from: undefined });
  expect(await commandOf({ "go.mod": "module example.com/acme/lobby\n" })).toMatchObject({
    command: "./lobby",
    from: "go.mod",
  });
  expect(await commandOf({ "app.py": "" })).toMatchObject({ command: "python3 app.py", from: "app.py" });
  expect(await commandOf({ "index.js": "" })).toMatchObject({ command: "node index.js", from: "index.js" });
  expect(await commandOf({ Dockerfile: 'FROM node\nCMD ["node", "dist/main.js"]\n' })).toMatchObject({
    command: "node dist/main.js",
    from: "Dockerfile",
  });
  expect(await commandOf(script("node server.js"))).toMatchObject({ from: "package.json" });
  expect(await commandOf({ Procfile: "worker: node w.js\nweb: node web.js\n" })).toMatchObject({
    command: "node web.js",
    from: "Procfile",
  });
});

test("a package.json that is none, or has no start script, is passed over", async () => {
  for (const text of ["{", "null", "[]", '{"scripts":{"start":7}}', '{"scripts":{"start":""}}']) {
    expect(await commandOf({ "package.json": text })).toMatchObject({ from: undefined });
  }
});

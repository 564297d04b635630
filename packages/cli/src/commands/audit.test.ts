import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { fakeApi, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { stateDirOf } from "../state-dir.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
});
afterEach(() => api.remove());

async function run(line: string) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: 0 });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

test("audit export writes what the API sends as it is, and fails where that breaks off", async () => {
  const targets: unknown[] = [];
  const text = '{"from":{"seq":3}}\n{"reason":"é"}\n{"signedHead":{}}\n';
  const server = createServer((request, response) => {
    targets.push(request.url);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    if (request.url?.includes("until=9") === true) response.write("{", () => response.destroy());
    else response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(stateDirOf(join(api.dir, ".holdover")).apiSocket, resolve));
  try {
    expect(await run("audit export --after 3")).toEqual({ exit: 0, out: text, err: "" });
    expect(await run("audit export --until 9")).toMatchObject({ exit: 3, out: "{" });
    expect(targets).toEqual(["/v1/audit/export?after=3", "/v1/audit/export?after=0&until=9"]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("audit verify tells up to where the chain is signed", async () => {
  await api.start();
  const signed = { entries: 8, atMs: 1, publicKey: "KEY" };
  api.handlers.set("GET /v1/audit/verify", () => ({ entries: 9, head: "ab", signed }));
  expect((await run("audit verify")).out).toBe(
    "The audit chain is whole: 9 entries, head ab, signed up to entry 8 with the key KEY\n",
  );
  api.handlers.set("GET /v1/audit/verify", () => ({ entries: 9, head: "ab", signed: null }));
  expect((await run("audit verify")).out).toBe("The audit chain is whole: 9 entries, head ab, not signed yet\n");
});

test.each([
  ["audit verify --file x.jsonl", "--key FILE"],
  ["audit verify --key x.pub", "--file FILE"],
  ["audit export --after -1", "number of an entry"],
])("%s is wrong usage", async (line, remedy) => {
  const { exit, err } = await run(line);
  expect(exit).toBe(2);
  expect(err).toContain(remedy);
});

test("audit verify of a file needs nobody to run, and refuses what is no key", async () => {
  await writeFile(join(api.dir, "x.jsonl"), "");
  await writeFile(join(api.dir, "x.pub"), readFileSync(join(api.dir, "holdover.yaml")));
  const { exit, err } = await run("audit verify --file x.jsonl --key x.pub");
  expect(exit).toBe(1);
  expect(err).toContain("x.pub cannot be used");
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rotateLog } from "./log-rotation.ts";

let dir: string;
let file: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-rotation-"));
  file = join(dir, "web.log");
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

test("a log at its limit, or not there, is left alone", async () => {
  await writeFile(file, "12345");
  expect(await rotateLog(file, 5)).toBe(false);
  expect(await rotateLog(join(dir, "none.log"), 5)).toBe(false);
  expect(await readdir(dir)).toEqual(["web.log"]);
});

test("a log above its limit is moved to .1 whole, and what was in .1 goes", async () => {
  await writeFile(`${file}.1`, "older");
  await writeFile(file, "123456", { mode: 0o600 });
  expect(await rotateLog(file, 5)).toBe(true);
  expect(await readFile(`${file}.1`, "utf8")).toBe("123456");
  expect((await stat(`${file}.1`)).mode & 0o777).toBe(0o600);
  expect((await stat(file)).size).toBe(0);
  expect((await readdir(dir)).sort()).toEqual(["web.log", "web.log.1"]);
});

test("while a process writes on, its lines stay whole and in order, and it goes on at the beginning of the file", async () => {
  const log = openSync(file, "a", 0o600);
  const write =
    "let n = 0; const f = () => { for (let i = 0; i < 50; i++) console.log('line ' + n++); setImmediate(f) }; f()";
  const writer = spawn(process.execPath, ["-e", write], { stdio: ["ignore", log, "inherit"] });
  closeSync(log);
  try {
    while (!(await rotateLog(file, 500_000))) await new Promise((resolve) => setImmediate(resolve));
    while ((await stat(file)).size < 100_000) await new Promise((resolve) => setImmediate(resolve));
  } finally {
    writer.kill("SIGKILL");
    await once(writer, "exit");
  }
  const older = await readFile(`${file}.1`, "utf8");
  const newer = await readFile(file, "utf8");
  expect(older.startsWith("line 0\n")).toBe(true);
  expect(newer).not.toContain("\0");
  for (const text of [older, newer]) {
    const numbers = text.split("\n").slice(1, -1);
    const first = Number(numbers[0]?.slice(5));
    expect(numbers).toEqual(numbers.map((_, index) => `line ${first + index}`));
  }
  const lastOfOlder = Number(/line (\d+)\n(?:.*)$/.exec(older)?.[1]);
  const firstOfNewer = Number(/^line (\d+)$/m.exec(newer)?.[1]);
  expect(firstOfNewer).toBeGreaterThan(lastOfOlder);
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tailLog } from "./log-tail.ts";

let dir: string;
let file: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-tail-"));
  file = join(dir, "web.log");
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

test("gives the last lines in order, the unfinished one too", async () => {
  await writeFile(file, "one\ntwo\r\nthree\nfo");
  expect(await tailLog(file, 3)).toEqual(["two", "three", "fo"]);
  expect(await tailLog(file, 100)).toEqual(["one", "two", "three", "fo"]);
  expect(await tailLog(file, 0)).toEqual([]);
});

test("a log that is not there, or is empty, has no line", async () => {
  expect(await tailLog(file, 10)).toEqual([]);
  await writeFile(file, "");
  expect(await tailLog(file, 10)).toEqual([]);
});

test("reads on in the older file where the log was rotated, through a line that was cut in two", async () => {
  await writeFile(`${file}.1`, "one\ntwo\nthr");
  await writeFile(file, "ee\nfour\n");
  expect(await tailLog(file, 3)).toEqual(["two", "three", "four"]);
  expect(await tailLog(file, 1)).toEqual(["four"]);
  await writeFile(file, "");
  expect(await tailLog(file, 2)).toEqual(["two", "thr"]);
});

test("reads no more than it may: a line that begins before that is left out, and one that is all there is comes cut", async () => {
  await writeFile(file, `${"a".repeat(100)}\n${"b".repeat(50)}\n`);
  expect(await tailLog(file, 10, 60)).toEqual(["b".repeat(50)]);
  expect(await tailLog(file, 10, 20)).toEqual(["b".repeat(19)]);
});

test("gives the same as reading all, whatever the lines and wherever the files part", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom("a", "ü", "x".repeat(30_000)), maxLength: 6 }), { maxLength: 12 }),
      fc.nat(),
      fc.integer({ min: 1, max: 15 }),
      async (lines, at, wanted) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const cut = at % (bytes.length + 1);
        await writeFile(`${file}.1`, bytes.subarray(0, cut));
        await writeFile(file, bytes.subarray(cut));
        expect(await tailLog(file, wanted, bytes.length + 1)).toEqual(lines.slice(-wanted));
      },
    ),
    { numRuns: 60 },
  );
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { readWav } from "./wav.ts";

const CALL = new URL("call.wav", import.meta.url);
const dir = mkdtempSync(join(tmpdir(), "holdover-wav-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** The call with some bytes changed. */
function changed(change: (bytes: Buffer) => Buffer): URL {
  const file = join(dir, "changed.wav");
  writeFileSync(file, change(readFileSync(CALL)));
  return pathToFileURL(file);
}

test("reads the samples of a call: two seconds that are not silent", () => {
  const samples = readWav(CALL);
  expect(samples.length).toBe(2 * 16_000 * 2);
  const loud = Array.from({ length: samples.length / 2 }, (_, n) => Math.abs(samples.readInt16LE(n * 2)));
  expect(loud.filter((level) => level > 1000).length).toBeGreaterThan(10_000);
});

test("passes over chunks that it does not know, padded to an even length", () => {
  const list = Buffer.from("LIST\x05\0\0\0abcde\0", "latin1");
  const withList = changed((bytes) => Buffer.concat([bytes.subarray(0, 36), list, bytes.subarray(36)]));
  expect(readWav(withList).equals(readWav(CALL))).toBe(true);
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ["of another kind", (bytes) => Buffer.concat([Buffer.from("RIFX"), bytes.subarray(4)])],
  ["in stereo", (bytes) => bytes.fill(2, 22, 23)],
  ["of another rate", (bytes) => bytes.fill(0, 25, 26)],
  ["cut short", (bytes) => bytes.subarray(0, 1000)],
  ["empty", () => Buffer.alloc(0)],
])("a file %s is refused", (_, change) => {
  expect(() => readWav(changed(change))).toThrow(/is no WAV file|is not 16 kHz/);
});

import { webcrypto } from "node:crypto";
import { expect, test } from "vitest";
import { ChainBroken, followExport, linesOf } from "./audit-chain.ts";
import { createWrittenLog, draftOf, type WrittenLog } from "./audit-fixture.ts";

const crypto = webcrypto.subtle as SubtleCrypto;

function written(count: number): WrittenLog {
  const log = createWrittenLog();
  for (let index = 0; index < count; index++) log.append(draftOf(`release.${index}`));
  return log;
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

function follow(lines: readonly string[]) {
  const taken: number[] = [];
  return followExport(crypto, each(lines), ({ seq }) => taken.push(seq)).then((followed) => ({ ...followed, taken }));
}

async function collected(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

async function brokenAt(lines: readonly string[]): Promise<number> {
  return follow(lines).then(
    () => expect.fail("it holds"),
    (error: unknown) => {
      expect(error).toBeInstanceOf(ChainBroken);
      return (error as ChainBroken).seq;
    },
  );
}

test("an export as control writes it holds, from the first entry and from within", async () => {
  const log = written(9);
  const whole = await follow(log.export(0));
  expect(whole).toMatchObject({ signature: "checked", head: { seq: 9, publicKey: log.publicKey }, from: { seq: 0 } });
  expect(whole.taken).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect((await follow(log.export(6))).taken).toEqual([7, 8, 9]);
});

test("an empty log holds", async () => {
  expect((await follow(written(0).export(0))).head.seq).toBe(0);
});

test("an entry that was edited is told by its number, and is not taken", async () => {
  const log = written(5);
  const lines = log.export(0).map((line) => line.replace('"kind":"release.2"', '"kind":"release.9"'));
  const taken: number[] = [];
  await expect(followExport(crypto, each(lines), ({ seq }) => taken.push(seq))).rejects.toMatchObject({ seq: 3 });
  expect(taken).toEqual([1, 2]);
});

test("an entry that was left out, put elsewhere, or written twice is told by its number", async () => {
  const lines = written(5).export(0);
  const [start = "", one = "", two = "", ...rest] = lines;
  expect(await brokenAt([start, one, ...rest])).toBe(2);
  expect(await brokenAt([start, two, one, ...rest])).toBe(1);
  expect(await brokenAt([start, one, one, two, ...rest])).toBe(2);
});

test("entries that are cut off at the end are missed", async () => {
  const lines = written(5).export(0);
  expect(await brokenAt([...lines.slice(0, 4), lines.at(-1) ?? ""])).toBe(4);
  expect(await brokenAt(lines.slice(0, -1))).toBe(6);
});

test("a chain that was made anew without control's key is told by its signature", async () => {
  const forged = written(5);
  const genuine = written(5);
  const { signedHead } = JSON.parse(genuine.export(0).at(-1) ?? "") as { signedHead: { signature: string } };
  const lines = forged.export(0);
  const own = JSON.parse(lines.at(-1) ?? "") as { signedHead: object };
  const swapped = JSON.stringify({ signedHead: { ...own.signedHead, signature: signedHead.signature } });
  expect(await brokenAt([...lines.slice(0, -1), swapped])).toBe(5);
});

test("a signature over another beginning does not pass", async () => {
  const log = written(5);
  expect(await brokenAt([...log.export(2).slice(0, -1), log.export(0).at(-1) ?? ""])).toBe(3);
});

test("a key that is none is told, and does not throw anything else", async () => {
  const lines = written(2).export(0);
  const last = (lines.at(-1) ?? "").replace(/"publicKey":"[^"]*"/, '"publicKey":"AAAA"');
  expect(await brokenAt([...lines.slice(0, -1), last])).toBe(2);
  const garbled = (lines.at(-1) ?? "").replace(/"publicKey":"[^"]*"/, '"publicKey":"***"');
  expect(await brokenAt([...lines.slice(0, -1), garbled])).toBe(2);
});

test("a line in which a field stands twice, or that is no JSON, is refused", async () => {
  const [start = "", one = "", ...rest] = written(2).export(0);
  expect(await brokenAt([start, one.replace("{", '{"actor":"mallory",'), ...rest])).toBe(1);
  expect(await brokenAt([start, "<html>", ...rest])).toBe(1);
  expect(await brokenAt(["null", one, ...rest])).toBe(1);
});

test("lines are found however their bytes arrive, and one that never ends is given up", async () => {
  const text = "a\nשלום 👩‍⚕️\n\nlast";
  const bytes = new TextEncoder().encode(text);
  const slow = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  expect(await collected(linesOf(slow))).toEqual(["a", "שלום 👩‍⚕️", "", "last"]);
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(120)),
  });
  await expect(collected(linesOf(endless))).rejects.toThrow(ChainBroken);
});

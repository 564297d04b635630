import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader } from "./line-reader.ts";
import { LINK_LINE_BYTES } from "./wire.ts";

test("lines come out as they went in, however the stream was cut", () => {
  const line = fc.string().map((text) => text.replaceAll("\n", ""));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat({ max: 40 })), (lines, cuts) => {
      const stream = lines.map((one) => `${one}\n`).join("");
      const reader = new LineReader();
      const found: string[] = [];
      let from = 0;
      for (const length of cuts) {
        found.push(...reader.feed(stream.slice(from, from + length)));
        from += length;
      }
      found.push(...reader.feed(stream.slice(from)));
      expect(found).toEqual(lines);
    }),
  );
});

test("a line without an end is refused before it fills the memory", () => {
  const reader = new LineReader();
  const chunk = "x".repeat(LINK_LINE_BYTES / 4);
  for (let count = 0; count < 4; count++) expect(reader.feed(chunk)).toEqual([]);
  expect(() => reader.feed("x")).toThrow(expect.objectContaining({ code: "LINK_MESSAGE_INVALID" }));
});

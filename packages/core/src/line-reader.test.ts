import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
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

describe("with somebody who is told of a line that is too long", () => {
  const LIMIT = 10;

  test("it is told once a line, and the lines around it come through", () => {
    let told = 0;
    const reader = new LineReader(LIMIT, () => (told += 1));
    expect(reader.feed("short\n0123456789\n")).toEqual(["short", "0123456789"]);
    expect(told).toBe(0);
    expect(reader.feed("0123456789a")).toEqual([]);
    expect(told).toBe(1);
    for (let pieces = 0; pieces < 100; pieces++) expect(reader.feed("still the same line")).toEqual([]);
    expect(told).toBe(1);
    expect(reader.feed("and its end\nnext\n")).toEqual(["next"]);
    expect(reader.feed("01234567890\nbetween\n01234567890\nlast\n")).toEqual(["between", "last"]);
    expect(told).toBe(3);
  });

  test("however the stream was cut, what comes through and how often it is told is the same", () => {
    const line = fc.string({ unit: fc.constantFrom("a", "房", " "), maxLength: 25 });
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat({ max: 12 })), (lines, cuts) => {
        let told = 0;
        const reader = new LineReader(LIMIT, () => (told += 1));
        const stream = lines.map((one) => `${one}\n`).join("");
        const found: string[] = [];
        let from = 0;
        for (const length of cuts) {
          found.push(...reader.feed(stream.slice(from, from + length)));
          from += length;
        }
        found.push(...reader.feed(stream.slice(from)));
        expect(found).toEqual(lines.filter((one) => one.length <= LIMIT));
        expect(told).toBe(lines.filter((one) => one.length > LIMIT).length);
      }),
    );
  });
});

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../test/sample-service.ts";
import { LineReader } from "./line-reader.ts";
import { LINK_LINE_BYTES } from "./wire.ts";

test("lines come out whole and in order, however the stream was split", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 10 }).filter((text) => !text.includes("\n"));
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 10 }),
      line,
      fc.array(fc.nat(120), { maxLength: 20 }),
      (lines, rest, cuts) => {
        const whole = [...lines, rest].join("\n");
        const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b), whole.length];
        const reader = new LineReader();
        const read = at.slice(1).flatMap((end, index) => reader.feed(whole.slice(at[index], end)));
        expect(read).toEqual(lines);
        expect(reader.feed("\n")).toEqual([rest]);
      },
    ),
  );
});

test("a line that does not end within the limit is refused, before it fills the memory", () => {
  const reader = new LineReader();
  const half = "x".repeat(LINK_LINE_BYTES / 2);
  expect(reader.feed(half)).toEqual([]);
  expect(reader.feed(half)).toEqual([]);
  expect(codeOf(() => reader.feed("x"))).toBe("LINK_MESSAGE_INVALID");
});

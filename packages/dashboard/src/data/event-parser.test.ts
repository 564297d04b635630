import { array, assert, constantFrom, nat, property } from "fast-check";
import { expect, test } from "vitest";
import { createEventParser, type StreamEvent } from "./event-parser.ts";

function parsed(...pieces: string[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const push = createEventParser((event) => events.push(event));
  for (const piece of pieces) push(piece);
  return events;
}

test("an event has its name, its data and the id that was told last", () => {
  expect(
    parsed("retry: 2000\n\nid: 7\nevent: audit\ndata: {}\n\n: keep-alive\n\nevent: status\ndata: a\ndata: b\n\n"),
  ).toEqual([
    { name: "audit", id: "7", data: "{}" },
    { name: "status", id: "7", data: "a\nb" },
  ]);
});

test("an event without its empty line is not one yet", () => {
  expect(parsed("id: 7\ndata: {}\n")).toEqual([]);
});

test("however a stream is cut and its lines end, the events are the same", () => {
  const text =
    '\uFEFFid: 1\nevent: audit\ndata: {"session":"a: b"}\n\n: comment\n\ndata:no space\n\nid: 2\ndata:  two\n\n';
  const whole = parsed(text);
  expect(whole).toHaveLength(3);
  assert(
    property(constantFrom("\n", "\r\n", "\r"), array(nat({ max: text.length * 2 }), { maxLength: 12 }), (end, cuts) => {
      const written = text.replaceAll("\n", end);
      const at = [0, ...cuts.filter((cut) => cut < written.length).toSorted((a, b) => a - b), written.length];
      expect(parsed(...at.slice(1).map((to, index) => written.slice(at[index], to)))).toEqual(whole);
    }),
  );
});

test("an event that is longer than any of Holdover's ends the stream instead of filling the memory", () => {
  const push = createEventParser(() => {}, 1000);
  push(`data: ${"x".repeat(500)}\n`);
  expect(() => push(`data: ${"x".repeat(600)}`)).toThrow(RangeError);
});

test("the length of an event is counted anew for each", () => {
  let taken = 0;
  const push = createEventParser(() => (taken += 1), 1000);
  for (let event = 0; event < 10; event++) push(`data: ${"x".repeat(900)}\n\n`);
  expect(taken).toBe(10);
});

import { expect, test } from "vitest";
import { Lengths } from "./agent-lengths.ts";

function lengths(...ms: number[]): Lengths {
  const made = new Lengths();
  for (const each of ms) made.add(each);
  return made;
}

test("nothing runs, so nothing is to be waited for, whatever is known", () => {
  expect([lengths().lastEndsIn([]), lengths(5).lastEndsIn([])]).toEqual([0, 0]);
});

test("each session is given the median of those that lasted longer than it has, and the latest counts", () => {
  const known = lengths(100, 400, 200, 300, 500);
  expect(known.lastEndsIn([0])).toBe(300);
  expect(known.lastEndsIn([250])).toBe(150);
  expect(known.lastEndsIn([250, 0, 499])).toBe(300);
});

test("of a session that is older than all that ended here nothing is known, nor where none has", () => {
  expect([lengths().lastEndsIn([0]), lengths(100).lastEndsIn([100]), lengths(100).lastEndsIn([0, 101])]).toEqual([
    null,
    null,
    null,
  ]);
});

test("the last thousand count", () => {
  const known = lengths(...Array.from({ length: 1000 }, () => 10));
  for (let index = 0; index < 1000; index += 1) known.add(20);
  expect(known.lastEndsIn([0])).toBe(20);
  expect(known.lastEndsIn([15])).toBe(5);
});

import { HoldoverError } from "@holdover/core";
import { describe, expect, test } from "vitest";
import { foldTrace, parseTrace } from "./trace.ts";

const refused = (text: string): { what: string; next: string } => {
  try {
    parseTrace("calls.csv", text);
  } catch (error) {
    if (error instanceof HoldoverError && error.code === "USAGE_INVALID")
      return { what: error.message, next: error.next };
    throw error;
  }
  throw new Error("was taken");
};

describe("a trace", () => {
  test.each([
    "start_s,duration_s\n0,146\n29,158\n",
    "0,146\n29,158",
    "\uFEFFstart_s,duration_s\r\n0,146\r\n\r\n29,158\r\n",
    "0,1.46e2\n29.0,158.0\n",
  ])("is read with and without header, and with any line ends: %j", (text) => {
    const { startMs, durationMs } = parseTrace("calls.csv", text);
    expect([...startMs]).toEqual([0, 29_000]);
    expect([...durationMs]).toEqual([146_000, 158_000]);
  });

  test("may hold sessions of length 0 and several that begin at once", () => {
    expect(parseTrace("calls.csv", "5,0\n5,3\n").startMs).toHaveLength(2);
  });

  test.each([
    ["", "calls.csv, line 1: there is no session in it"],
    ["start_s,duration_s\n", "calls.csv, line 1: there is no session in it"],
    ["0,1\n1;2\n", 'calls.csv, line 2: "1;2" is not start_s,duration_s'],
    ["0,1\n1,2,3\n", 'calls.csv, line 2: "1,2,3" is not start_s,duration_s'],
    ["0,1\nstart_s,duration_s\n", 'calls.csv, line 2: "start_s,duration_s" is not start_s,duration_s'],
    ["0,NaN\n", 'calls.csv, line 1: "0,NaN" is not start_s,duration_s'],
    ["-1,5\n", 'calls.csv, line 1: "-1,5" is not start_s,duration_s'],
    ["0,1\n\n3,-2\n", "calls.csv, line 3: a session of -2 s ends before it begins"],
    ["5,1\n4,1\n", "calls.csv, line 2: it begins before the line above"],
    ["1e300,1\n", "calls.csv, line 1: a number is too large to be seconds"],
  ])("that cannot be read is refused with the line: %j", (text, problem) => {
    expect(refused(text).what).toBe(problem);
    expect(refused(text).next).not.toBe("");
  });

  test("with a line without end is refused, and not shown whole", () => {
    expect(refused(`0,1\n${"9".repeat(1_000_000)}`).what.length).toBeLessThan(120);
  });
});

describe("a fold", () => {
  test("lays periods over each other, in order of start, and keeps every length", () => {
    const folded = foldTrace(parseTrace("calls.csv", "0,1\n50,2\n90,3\n110,4\n250,5\n"), 100_000);
    expect([...folded.startMs]).toEqual([0, 10_000, 50_000, 50_000, 90_000]);
    expect([...folded.durationMs]).toEqual([1000, 4000, 2000, 5000, 3000]);
  });

  test.each([0, -5, Number.NaN])("of %d ms is refused", (period) => {
    expect(() => foldTrace(parseTrace("calls.csv", "0,1\n"), period)).toThrow(HoldoverError);
  });
});

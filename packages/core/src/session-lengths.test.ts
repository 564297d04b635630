import { describe, expect, test } from "vitest";
import { labelledLengths, type SessionSpans, sessionLengths } from "./session-lengths.ts";
import { lengthQuantile } from "./survival.ts";

/** One session a second for so long, each of the length that `lengthAt` gives. */
function spansOf(seconds: number, lengthAt: (second: number) => number, nowMs: number): SessionSpans {
  const openedAtMs = Float64Array.from({ length: seconds }, (_, second) => second * 1000);
  const endedAtMs = openedAtMs.map((opened, second) => {
    const end = opened + lengthAt(second);
    return end <= nowMs ? end : Number.NaN;
  });
  return { openedAtMs, endedAtMs };
}

const window = { lookbackMs: 1_000_000, mostEnds: 400, leastEnds: 30 };

describe("the window", () => {
  test("lets go of the past: lengths follow a change", () => {
    const nowMs = 2_000_000;
    const spans = spansOf(2000, (second) => (second < 1000 ? 5000 : 50_000), nowMs);
    const found = sessionLengths(spans, nowMs, window);
    if (found.kind === "unknown") throw new Error(found.why);
    expect(lengthQuantile(found.lengths, 0.5)).toBe(50_000);
    expect(found.lengths.ends).toBe(400);
    expect(found.why).toBe("400 ended and 49 open sessions");
  });

  test("counts a session that began before it from the age it entered with, not as if it had been watched all along", () => {
    const nowMs = 1000;
    const spans = {
      openedAtMs: Float64Array.from([...Array.from({ length: 40 }, () => 100), -9000]),
      endedAtMs: Float64Array.from([...Array.from({ length: 40 }, (_, index) => 200 + index), 900]),
    };
    const found = sessionLengths(spans, nowMs, { lookbackMs: 1000, mostEnds: 400, leastEnds: 30 });
    if (found.kind === "unknown") throw new Error(found.why);
    expect(found.lengths.atRisk[0]).toBe(40);
    expect(found.lengths.ages.at(-1)).toBe(9900);
  });

  test("knows nothing of what comes after now", () => {
    const spans = spansOf(2000, () => 5000, 1e9);
    const found = sessionLengths(spans, 100_000, window);
    if (found.kind === "unknown") throw new Error(found.why);
    expect(found.lengths.sessions).toBe(101);
    expect(found.lengths.ends).toBe(96);
  });
});

describe("fewer ends than the minimum", () => {
  const few = spansOf(20, () => 1000, 60_000);
  const many = spansOf(50, () => 2000, 60_000);

  test("are no estimate, and it says how many there are and are needed", () => {
    expect(sessionLengths(few, 60_000, window)).toEqual({
      kind: "unknown",
      ends: 20,
      why: "20 ended sessions are too few to tell how long they last (30 are needed)",
    });
  });

  test("of a label fall back on the whole service", () => {
    const found = labelledLengths(few, many, 60_000, window);
    expect(found).toMatchObject({ kind: "estimated", from: "service" });
    expect(found.why).toBe(
      "50 ended and 0 open sessions of the whole service, because of this label 20 ended sessions are too few to tell how long they last (30 are needed)",
    );
    expect(labelledLengths(many, few, 60_000, window)).toMatchObject({ kind: "estimated", from: "label" });
    expect(labelledLengths(few, few, 60_000, window)).toMatchObject({ kind: "unknown", ends: 20 });
  });
});

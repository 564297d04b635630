import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mayCloseNow } from "./disconnects.ts";

const cap = { atOnce: 0.05, periodMs: 1000 };

describe("rule 6: no more connections are closed on purpose at once than the disconnect cap allows", () => {
  /**
   * A service over time: connections come and go by themselves, some of those closed come back at once, and a closer
   * takes all or a part of what it may, whenever it likes.
   */
  const step = fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.constant(1000), fc.constant(999), fc.nat(1500)),
    come: fc.oneof({ weight: 3, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(400) }),
    go: fc.oneof({ weight: 3, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(400) }),
    backPercent: fc.constantFrom(0, 50, 100),
    takePercent: fc.constantFrom(10, 100),
  });
  const share = fc.constantFrom(0.01, 0.05, 0.1, 0.33, 0.5, 0.9, 1);

  test("no span of a period has more closings than the share of those live at its last one, or one", () => {
    fc.assert(
      fc.property(fc.nat(300), share, fc.array(step, { maxLength: 40, size: "max" }), (first, atOnce, steps) => {
        const closed: { atMs: number; live: number }[] = [];
        let live = first;
        let nowMs = 0;
        for (const { afterMs, come, go, backPercent, takePercent } of steps) {
          nowMs += afterMs;
          live = Math.max(0, live + come - go);
          const times = closed.map(({ atMs }) => atMs);
          const may = mayCloseNow({ atOnce, periodMs: 1000 }, live, times, nowMs);
          const take = Math.min(live, Math.ceil((may * takePercent) / 100));
          for (let count = 0; count < take; count++) closed.push({ atMs: nowMs, live });
          live += Math.floor((take * backPercent) / 100) - take;
        }
        let from = 0;
        const tooMany = closed.filter((last, index) => {
          while ((closed[from]?.atMs ?? 0) <= last.atMs - 1000) from += 1;
          return index - from + 1 > Math.max(1, Math.floor(last.live * atOnce));
        });
        expect(tooMany).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("clients that reconnect at once are not counted twice, not even at a share of 100%", () => {
    const closed = Array.from({ length: 100 }, () => 500);
    expect(mayCloseNow({ atOnce: 1, periodMs: 1000 }, 100, closed, 600)).toBe(0);
  });

  test("the cap is used in full: with a stable number of connections each period closes the whole share", () => {
    const closed: number[] = [];
    for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
      const may = mayCloseNow(cap, 200, closed, nowMs);
      for (let count = 0; count < may; count++) closed.push(nowMs);
    }
    expect(closed.length).toBe(100);
  });
});

describe("the number of connections that may be closed now", () => {
  test.each([
    [0, 1],
    [1, 1],
    [19, 1],
    [20, 1],
    [39, 1],
    [40, 2],
    [1000, 50],
  ])("with %d live ones is %d: the share rounded down, and at least one, else nothing would ever end", (live, may) => {
    expect(mayCloseNow(cap, live, [], 5000)).toBe(may);
  });

  test("is less by what was closed within the period, and a closing counts until exactly one period later", () => {
    expect(mayCloseNow(cap, 100, [4000, 4001, 4500], 5000)).toBe(3);
    expect(mayCloseNow(cap, 100, [4000, 4001, 4500], 5000.9)).toBe(3);
    expect(mayCloseNow(cap, 100, [4000, 4001, 4500], 5001)).toBe(4);
  });

  test("is never below zero, and none while more were closed than the share is now", () => {
    expect(mayCloseNow(cap, 20, [4900, 4900, 4900], 5000)).toBe(0);
  });

  test("counts a closing that the clock has put into the future, so that a clock set back allows no more", () => {
    expect(mayCloseNow(cap, 20, [9000], 5000)).toBe(0);
  });
});

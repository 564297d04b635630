import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apart, chartFrame, linePath } from "./line-chart.ts";

const frame = chartFrame(440, 130, 0, [0, 4], [0, 1]);

describe("a chart of lines", () => {
  it("has every value of its ranges within its frame", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 4, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (x, y) => {
        expect(frame.xOf(x)).toBeGreaterThanOrEqual(frame.left);
        expect(frame.xOf(x)).toBeLessThanOrEqual(frame.right);
        expect(frame.yOf(y)).toBeGreaterThanOrEqual(frame.top);
        expect(frame.yOf(y)).toBeLessThanOrEqual(frame.bottom);
      }),
    );
    expect(chartFrame(0, 130, 0, [3, 3], [0, 0]).xOf(3)).not.toBeNaN();
  });

  it("breaks a line where a value is not known, and shows one that stands alone", () => {
    expect(linePath(frame, [0, 1, 2, 3, 4], [1, 0.5, null, 0, null])).toBe("M40 8h0L140 58M340 108h0");
    expect(linePath(frame, [0, 1], [null, null])).toBe("");
  });

  it("moves labels apart in their order, and those that have room not at all", () => {
    expect(apart([40, 10, 12], 12)).toEqual([40, 10, 22]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 })), (places) => {
        const sorted = apart(places, 12).toSorted((a, b) => a - b);
        const gaps = sorted.slice(1).map((place, index) => place - sorted[index]!);
        expect(gaps.filter((gap) => gap < 12)).toEqual([]);
      }),
    );
  });
});

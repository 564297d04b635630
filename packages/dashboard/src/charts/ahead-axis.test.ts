import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aheadAxis } from "./ahead-axis.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Width, pace of the past, and how far ahead the last thing lies. */
const axes = fc
  .tuple(
    fc.integer({ min: 60, max: 500 }),
    fc.constantFrom(900_000, HOUR_MS, 6 * HOUR_MS, 48 * HOUR_MS),
    fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 * DAY_MS })),
  )
  .map(([width, rangeMs, needMs]) => ({ width, pace: (3 * width) / rangeMs, needMs }));

describe("the axis of time ahead", () => {
  it("has everything in sight, in its order", () => {
    fc.assert(
      fc.property(axes, fc.nat(300 * DAY_MS), fc.nat(300 * DAY_MS), ({ width, pace, needMs }, a, b) => {
        const { pxOf } = aheadAxis(width, pace, needMs);
        expect(pxOf(needMs)).toBeLessThanOrEqual(width);
        expect(Math.sign(pxOf(a) - pxOf(b))).toBe(Math.sign(a - b));
      }),
    );
  });

  it("begins at the pace of the past, so that now is no seam", () => {
    fc.assert(
      fc.property(axes, ({ width, pace, needMs }) => {
        const { pxOf } = aheadAxis(width, pace, needMs);
        expect(pxOf(0)).toBe(0);
        const soonMs = 0.001 / pace;
        expect(pxOf(soonMs) / soonMs / pace).toBeCloseTo(1, 1);
        expect(pxOf(-soonMs)).toBeCloseTo(-0.001, 9);
      }),
    );
  });

  it("goes on at the pace of the past where everything fits at that", () => {
    const { pxOf, spanMs } = aheadAxis(300, 300 / HOUR_MS, HOUR_MS / 2);
    expect(spanMs).toBe(HOUR_MS);
    expect(pxOf(HOUR_MS / 2)).toBe(150);
  });

  it("tells of a place which moment it is", () => {
    fc.assert(
      fc.property(axes, fc.double({ min: -1, max: 1, noNaN: true }), ({ width, pace, needMs }, share) => {
        const { pxOf, msAt } = aheadAxis(width, pace, needMs);
        expect(pxOf(msAt(share * width))).toBeCloseTo(share * width, 3);
      }),
    );
  });

  it("has labels that do not touch, the last one within the picture", () => {
    fc.assert(
      fc.property(axes, ({ width, pace, needMs }) => {
        const { ticks, pxOf } = aheadAxis(width, pace, needMs);
        let before = 0;
        for (const { px } of ticks) {
          expect(px - before).toBeGreaterThanOrEqual(44);
          before = px;
        }
        expect(before).toBeLessThanOrEqual(width);
        expect(pxOf(0)).toBe(0);
      }),
    );
  });
});

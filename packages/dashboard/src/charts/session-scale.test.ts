import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { halfOf, sessionScale } from "./session-scale.ts";

const peaks = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 60 });

describe("the scale of sessions", () => {
  it("gives every lane room for the most sessions that it has", () => {
    fc.assert(
      fc.property(peaks, fc.integer({ min: 14, max: 44 }), (peaks, least) => {
        const { pxPerSession, heights } = sessionScale(peaks, least, 440);
        for (const [index, peak] of peaks.entries()) {
          expect(2 * halfOf(peak, pxPerSession)).toBeLessThanOrEqual(heights[index] ?? 0);
        }
      }),
    );
  });

  it("makes no band thinner where there are more sessions, and none thinner than a pixel", () => {
    fc.assert(
      fc.property(peaks, fc.nat(2_000_000), fc.nat(2_000_000), (peaks, a, b) => {
        const { pxPerSession } = sessionScale(peaks, 20, 440);
        const [fewer, more] = [Math.min(a, b), Math.max(a, b)];
        expect(halfOf(more, pxPerSession)).toBeGreaterThanOrEqual(halfOf(fewer, pxPerSession));
        expect(2 * halfOf(more + 1, pxPerSession)).toBeGreaterThanOrEqual(1);
        expect(halfOf(0, pxPerSession)).toBe(0);
      }),
    );
  });

  it("keeps all lanes within what they may take together, as long as the least of each fits", () => {
    fc.assert(
      fc.property(peaks, (peaks) => {
        const least = Math.min(44, Math.floor(440 / peaks.length));
        const { heights } = sessionScale(peaks, least, 440);
        expect(heights.reduce((sum, height) => sum + height, 0)).toBeLessThanOrEqual(440);
      }),
    );
  });

  it("does not change as a session comes or goes", () => {
    expect(sessionScale([121, 44], 44, 440)).toEqual(sessionScale([122, 43], 44, 440));
  });

  it("shows a round number of sessions as a bar that is seen and not tall", () => {
    fc.assert(
      fc.property(peaks, (peaks) => {
        const { bar, pxPerSession } = sessionScale(peaks, 20, 440);
        expect(String(bar.sessions)).toMatch(/^[125]0*$/);
        expect(bar.px).toBeCloseTo(bar.sessions * pxPerSession, 6);
        expect(bar.px).toBeLessThanOrEqual(20.001);
        expect(bar.px).toBeGreaterThan(0);
      }),
    );
  });
});

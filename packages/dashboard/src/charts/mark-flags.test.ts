import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flagTexts } from "./mark-flags.ts";

describe("names above the picture", () => {
  it("do not cover each other, nor what lies beside them", () => {
    const names = fc.array(fc.record({ x: fc.integer({ min: -50, max: 900 }), text: fc.string({ maxLength: 200 }) }));
    fc.assert(
      fc.property(names, (unsorted) => {
        const sorted = unsorted.toSorted((a, b) => a.x - b.x);
        const texts = flagTexts(sorted, 0, 800);
        expect(texts).toHaveLength(sorted.length);
        let free = 0;
        for (const [index, text] of texts.entries()) {
          if (text === undefined) continue;
          const half = (text.length * 7) / 2;
          const { x } = sorted[index] ?? { x: 0 };
          expect(x - half).toBeGreaterThanOrEqual(free);
          free = x + half;
          expect(text.length).toBeLessThanOrEqual(16);
        }
        expect(free).toBeLessThanOrEqual(800);
      }),
    );
  });

  it("are those of the newest where there is no room for all", () => {
    const crowd = [10, 12, 14].map((x, index) => ({ x: x + 30, text: `v${index}` }));
    expect(flagTexts(crowd, 0, 800)).toEqual([undefined, undefined, "v2"]);
  });
});

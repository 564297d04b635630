import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ageBars } from "./age-bars.ts";
import { releaseView } from "./release-fixture.ts";

const endsMs = [60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000];
const ages = (open: readonly number[][]) => ({
  service: "rooms",
  nowMs: 0,
  endsMs,
  releases: open.map((open, index) => ({ release: `v${index}`, state: "retained" as const, open, lingering: 0 })),
});

describe("bars of ages", () => {
  it("are shares of their release's sessions on one scale, whatever the counts", () => {
    const bins = fc.array(fc.nat(100_000), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(fc.array(bins, { maxLength: 10 }), (open) => {
        const bars = ageBars(ages(open), { releases: [] });
        expect(bars).toHaveLength(open.filter((bins) => bins.some((count) => count > 0)).length);
        const heights = bars.flatMap((release) => release.bars.map(({ height }) => height));
        expect(heights.filter((height) => !(height >= 0 && height <= 1))).toEqual([]);
        expect(Math.max(...heights, bars.length === 0 ? 1 : 0)).toBe(1);
      }),
    );
  });

  it("say which ages each of them stands for", () => {
    const [release] = ageBars(ages([[1, 0, 0, 0, 0, 0, 2]]), { releases: [] });
    expect(release?.bars.map(({ label }) => label)).toEqual(["<1m", "1–5m", "5–15m", "15–60m", "1–4h", "4–24h", "1d+"]);
  });

  it("come newest first, with the colour of their lane and what is wedged", () => {
    const releases = ["v0", "v1"].map((id) =>
      releaseView({ id, state: "retained", sessions: { open: 3, lingering: 0, connections: 3, wedged: 2 } }),
    );
    const bars = ageBars(ages([[3], [3]]), { releases });
    expect(bars.map(({ release, colour, wedged }) => [release, colour, wedged])).toEqual([
      ["v1", "lane-2", 2],
      ["v0", "lane-1", 2],
    ]);
  });
});

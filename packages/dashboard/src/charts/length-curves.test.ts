import type { LengthsDetailView } from "@holdover/control/api";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { durationTicks, lengthCurves } from "./length-curves.ts";

const quantiles = { p50Ms: null, p95Ms: null, p99Ms: null };
const view = (curve: LengthsDetailView["curve"], residual: LengthsDetailView["residual"] = []): LengthsDetailView => ({
  service: "rooms",
  nowMs: 0,
  known: true,
  ends: 10,
  why: "",
  ...quantiles,
  curve,
  days: [],
  residual,
});
/** Falling shares at growing ages, as an estimate of survival is. */
const falling = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 1e8 }), fc.double({ min: 0, max: 1, noNaN: true })), {
    minLength: 2,
    maxLength: 40,
  })
  .map((points) => {
    const ages = points.map(([ms]) => ms).toSorted((a, b) => a - b);
    const shares = points.map(([, share]) => share).toSorted((a, b) => b - a);
    return ages.map((ageMs, index) => ({ ageMs, share: shares[index] ?? 0 }));
  });

describe("curves of lengths", () => {
  it("fall, are shares, and are finite wherever anything is known", () => {
    fc.assert(
      fc.property(falling, (curve) => {
        const { x = [], all = [] } = lengthCurves(view(curve)) ?? {};
        expect(x.filter((each) => !Number.isFinite(each))).toEqual([]);
        const known = all.filter((share) => share !== null);
        expect(known.filter((share) => !(share >= 0 && share <= 1))).toEqual([]);
        expect(known.filter((share, index) => share > (known[index - 1] ?? 1) + 1e-9)).toEqual([]);
      }),
    );
  });

  it("claim nothing beyond the longest length that was seen, unless nothing is left there", () => {
    const long = [
      { afterMs: 1000, share: 0.9 },
      { afterMs: 10_000_000, share: 0 },
    ];
    const residual = [{ release: "v1", sessions: 3, known: true, ...quantiles, curve: long }];
    const open = lengthCurves(view([{ ageMs: 60_000, share: 0.4 }], residual));
    expect(open?.all.at(-1)).toBeNull();
    const closed = lengthCurves(view([{ ageMs: 60_000, share: 0 }], residual));
    expect(closed?.all.at(-1)).toBe(0);
    expect(closed?.residual[0]?.shares.at(-1)).toBe(0);
  });

  it("are no more than can be told apart: those of the releases with the most sessions", () => {
    const residual = Array.from({ length: 9 }, (_, index) => ({
      release: `v${index}`,
      sessions: index,
      known: true,
      ...quantiles,
      curve: [{ afterMs: 60_000, share: 0 }],
    }));
    const curves = lengthCurves(view([{ ageMs: 60_000, share: 0 }], residual));
    expect(curves?.residual.map(({ release }) => release)).toEqual(["v3", "v4", "v5", "v6", "v7", "v8"]);
  });

  it("are not drawn where nothing is known", () => {
    expect(lengthCurves(view([]))).toBeUndefined();
  });
});

describe("an axis of durations", () => {
  it("has round durations, so far apart as is asked for", () => {
    const ticks = durationTicks(Math.log10(2000), Math.log10(90_000_000), 0.5);
    expect(ticks.map(({ label }) => label)).toEqual(["5s", "1m", "5m", "1h", "4h", "1d"]);
  });
});

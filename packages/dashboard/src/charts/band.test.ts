import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Band, bandOf, outlinePath } from "./band.ts";

const half = (sessions: number) => (sessions > 0 ? Math.max(0.5, sessions) : 0);
const samples = (sessions: readonly (number | null)[], holds = 5) => ({
  sessions,
  x: sessions.map((_, index) => index * 10),
  holdsUntilX: (sessions.length - 1) * 10 + holds,
  endX: (sessions.length - 1) * 10 + 100,
});

/** Half the thickness that is drawn at x; undefined: nothing is. */
function thicknessAt({ pieces }: Band, x: number): number | undefined {
  for (const piece of pieces) {
    const after = piece.x.findIndex((each) => each >= x);
    if (after < 0 || (piece.x[0] ?? 0) > x) continue;
    const [a, b] = [Math.max(0, after - 1), after];
    const [fromX, toX] = [piece.x[a] ?? 0, piece.x[b] ?? 0];
    const share = toX === fromX ? 1 : (x - fromX) / (toX - fromX);
    return (piece.half[a] ?? 0) + share * ((piece.half[b] ?? 0) - (piece.half[a] ?? 0));
  }
  return undefined;
}

const inGap = ({ gaps }: Band, x: number) => gaps.some(({ fromX, toX }) => fromX < x && x < toX);

const counts = fc.array(fc.option(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }))), {
  minLength: 1,
  maxLength: 60,
});

describe("a band", () => {
  it("has the thickness of every sample at its moment, and none where there was no session", () => {
    fc.assert(
      fc.property(counts, (sessions) => {
        const band = bandOf(samples(sessions), half);
        const drawn = sessions.map((count, index) => (count === null ? null : (thicknessAt(band, index * 10) ?? 0)));
        expect(drawn).toEqual(sessions.map((count) => (count === null ? null : half(count))));
      }),
    );
  });

  it("is a gap at every moment that nobody knows, and draws nothing there", () => {
    fc.assert(
      fc.property(counts, (sessions) => {
        const band = bandOf(samples(sessions), half);
        // The first moment is where the picture begins: it is in the gap that begins there.
        const unknown = sessions.flatMap((count, index) => (count === null ? Math.max(0.001, index * 10) : []));
        expect(unknown.filter((x) => !inGap(band, x))).toEqual([]);
        expect(unknown.filter((x) => thicknessAt(band, x) !== undefined)).toEqual([]);
      }),
    );
  });

  it("never goes beyond what was counted between two samples", () => {
    fc.assert(
      fc.property(counts, fc.double({ min: 0, max: 1, noNaN: true }), (sessions, share) => {
        const band = bandOf(samples(sessions), half);
        const beyond = sessions.filter((b, index) => {
          const a = sessions[index - 1] ?? null;
          if (a === null || b === null) return false;
          const between = thicknessAt(band, (index - 1 + share) * 10) ?? 0;
          return between < Math.min(half(a), half(b)) - 1e-9 || between > Math.max(half(a), half(b)) + 1e-9;
        });
        expect(beyond).toEqual([]);
      }),
    );
  });

  it("holds its last sample for a while and is a gap after that, also where the last is zero", () => {
    const band = bandOf(samples([3, 7]), half);
    expect(thicknessAt(band, 15)).toBe(7);
    expect(band.gaps).toEqual([{ fromX: 15, toX: 110 }]);
    expect(bandOf(samples([3, 0]), half).gaps).toEqual([{ fromX: 15, toX: 110 }]);
  });

  it("goes on as a gap where the last samples are unknown", () => {
    expect(bandOf(samples([3, null, null]), half).gaps).toEqual([{ fromX: 0, toX: 120 }]);
  });

  it("shows a single sample between two gaps", () => {
    const { pieces } = bandOf(samples([null, 4, null]), half);
    expect(pieces).toHaveLength(1);
    expect((pieces[0]?.x.at(-1) ?? 0) - (pieces[0]?.x[0] ?? 0)).toBeGreaterThanOrEqual(1);
  });

  it("is an outline of finite numbers that has as many points above as below", () => {
    fc.assert(
      fc.property(counts, (sessions) => {
        for (const piece of bandOf(samples(sessions), half).pieces) {
          const path = outlinePath(piece);
          expect(path).toMatch(/^M-?[\d.]+ -?[\d.]+(L-?[\d.]+ -?[\d.]+)+Z$/);
          expect(path.split("L")).toHaveLength(2 * piece.x.length);
        }
      }),
    );
  });
});

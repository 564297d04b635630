import type { Survival } from "./survival.ts";

/** The share of sessions that last longer than an age. */
export interface SurvivalPoint {
  readonly ageMs: number;
  readonly share: number;
}

/**
 * The product-limit estimate to be drawn: of its steps so many that no stretch of it is left out, be it flat or steep. The
 * first is (0, 1), the last the longest length that was seen to end.
 * @param points at the most, at least 3
 */
export function survivalCurve({ ages, survival }: Survival, points: number): SurvivalPoint[] {
  const steps = ages.length;
  const lastAge = ages[steps - 1] ?? 0;
  const curve: SurvivalPoint[] = [{ ageMs: 0, share: 1 }];
  // Each axis is gone along in its own share of the points; so many more steps fit as are not needed by the other one.
  const wanted = points - 2;
  let taken = 0;
  for (let step = 0; step < steps; step++) {
    const ageMs = ages[step] ?? 0;
    const share = survival[step] ?? 0;
    const gone = (1 - share + (lastAge > 0 ? ageMs / lastAge : 1)) / 2;
    if (step < steps - 1 && steps > points - 1 && gone * wanted < taken + 1) continue;
    taken = Math.floor(gone * wanted);
    curve.push({ ageMs, share });
  }
  return curve;
}

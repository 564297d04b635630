import type { Survival } from "./survival.ts";

/** The share of sessions that last longer than an age. */
export interface SurvivalPoint {
  readonly ageMs: number;
  readonly share: number;
}

/**
 * The product-limit estimate to be drawn: so many of its steps that no stretch of it is left out, be it steep or flat. The
 * first point is (0, 1), the last the longest length that was seen to end.
 * @param points at the most, at least 3
 */
export function survivalCurve({ ages, survival }: Survival, points: number): SurvivalPoint[] {
  const steps = ages.length;
  const lastAge = ages[steps - 1] ?? 0;
  // Between the first point and the last.
  const stretches = points - 2;
  const curve: SurvivalPoint[] = [{ ageMs: 0, share: 1 }];
  let stretch = 0;
  for (let step = 0; step < steps; step++) {
    const ageMs = ages[step] ?? 0;
    const share = survival[step] ?? 0;
    // How far along the curve, from 0 to 1, by both axes alike.
    const gone = (1 - share + (lastAge > 0 ? ageMs / lastAge : 1)) / 2;
    if (steps >= points && step < steps - 1 && gone * stretches < stretch + 1) continue;
    stretch = Math.floor(gone * stretches);
    curve.push({ ageMs, share });
  }
  return curve;
}

import type { LifeSample } from "./life-sample.ts";

/**
 * How lengths go on where too few sessions are left to read it off the data.
 *
 * The excess over a high threshold follows a generalised Pareto law, whatever the law of the whole (Pickands 1975; Balkema
 * and de Haan 1974): `shape` 0 is exponential, above 0 a power law with exponent 1/shape. It is fitted by maximum likelihood to
 * the upper part, with the censored and the late-entered sessions in the likelihood. A shape below 0, an end of the scale
 * that nobody may pass, is not believed: live sessions older than it would have no future at all.
 */
export type Tail =
  | {
      readonly kind: "fitted";
      readonly threshold: number;
      /** From this age on the tail stands in for the estimate: fewer than {@link LEAST_AT_RISK} sessions were left. */
      readonly fromAge: number;
      readonly shape: number;
      readonly scaleMs: number;
      /** Ends above the threshold, from which it was fitted. */
      readonly ends: number;
      /** The relative standard error of a hazard read off it: the asymptotic (1 + shape) / sqrt(ends). */
      readonly relativeError: number;
    }
  /** Fewer ends than a tail can be fitted to: past the last one nothing is known, and a forecast says so. */
  | { readonly kind: "unknown" };

const LEAST_AT_RISK = 20;
/** A shape fitted to fewer ends is mostly noise: its standard error would be above a quarter. */
const LEAST_ENDS = 25;
const MOST_ENDS = 500;
const UPPER_SHARE = 0.1;
/** Beyond this the mean, the variance and every forecast are infinite anyway. */
const MOST_SHAPE = 2;

export function fitTail(
  sample: LifeSample,
  ends: Float64Array,
  risk: { readonly ages: Float64Array; readonly atRisk: Float64Array },
): Tail {
  if (ends.length <= LEAST_ENDS) return { kind: "unknown" };
  const wanted = Math.min(MOST_ENDS, Math.max(LEAST_ENDS, Math.round(ends.length * UPPER_SHARE)));
  const threshold = ends[ends.length - wanted - 1] ?? 0;
  const excess = excesses(sample, threshold);
  if (excess.ends < LEAST_ENDS - 5) return { kind: "unknown" };
  const { shape, scaleMs } = mostLikely(excess);
  let last = risk.ages.length - 1;
  while (last > 0 && (risk.atRisk[last] ?? 0) < LEAST_AT_RISK) last--;
  const fromAge = Math.max(threshold, risk.ages[last] ?? 0);
  const relativeError = (1 + shape) / Math.sqrt(excess.ends);
  return { kind: "fitted", threshold, fromAge, shape, scaleMs, ends: excess.ends, relativeError };
}

/** The cumulative hazard of the tail between two ages, both at or past its threshold. */
export function tailHazard(tail: Extract<Tail, { kind: "fitted" }>, fromAge: number, toAge: number): number {
  if (tail.shape < 1e-9) return (toAge - fromAge) / tail.scaleMs;
  const at = (age: number) => Math.log1p((tail.shape * (age - tail.threshold)) / tail.scaleMs) / tail.shape;
  return at(toAge) - at(fromAge);
}

interface Excesses {
  readonly from: Float64Array;
  readonly to: Float64Array;
  readonly endedAt: Float64Array;
  readonly ends: number;
}

function excesses(sample: LifeSample, threshold: number): Excesses {
  const above = (_: number, row: number) => (sample.exit[row] ?? 0) > threshold;
  const endedAt = sample.exit
    .filter((exit, row) => sample.ended[row] === 1 && exit > threshold)
    .map((exit) => exit - threshold);
  return {
    from: sample.entry.filter(above).map((entry) => Math.max(0, entry - threshold)),
    to: sample.exit.filter(above).map((exit) => exit - threshold),
    endedAt,
    ends: endedAt.length,
  };
}

/**
 * Grimshaw's reduction (1993) to one unknown, the ratio of shape and scale: given it, the best shape has a closed form, with
 * censoring and late entry too. What is left is a search along a line.
 */
function mostLikely(excess: Excesses): { shape: number; scaleMs: number } {
  const watched = sum(excess.to) - sum(excess.from);
  const exponential = watched / excess.ends;
  const fit = (ratio: number) => {
    const shape = (sumLog(ratio, excess.to) - sumLog(ratio, excess.from)) / excess.ends;
    const likelihood = -excess.ends * Math.log(shape / ratio) - sumLog(ratio, excess.endedAt) - excess.ends;
    return { shape, scaleMs: shape / ratio, likelihood };
  };
  let best = { shape: 0, scaleMs: exponential, likelihood: -excess.ends * (Math.log(exponential) + 1) };
  let bestAt = Number.NaN;
  const consider = (power: number) => {
    const candidate = fit(2 ** power / exponential);
    if (candidate.shape > MOST_SHAPE || !(candidate.likelihood > best.likelihood)) return;
    best = candidate;
    bestAt = power;
  };
  for (let power = -6; power <= 12; power++) consider(power);
  for (const step of [0.5, 0.25, 0.125, 0.0625]) {
    const at = bestAt;
    consider(at - step);
    consider(at + step);
  }
  return best;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function sumLog(ratio: number, values: Float64Array): number {
  let total = 0;
  for (const value of values) total += Math.log1p(ratio * value);
  return total;
}

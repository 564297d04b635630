import type { LifeSample } from "./life-sample.ts";
import { fitTail, tailHazard, type Tail } from "./survival-tail.ts";

/** The Kaplan–Meier estimate of a sample, and its tail. Made by {@link kaplanMeier}; read with the functions below. */
export interface Survival {
  /** Sessions that count: those whose row made sense. */
  readonly sessions: number;
  /** How many of them were seen to end. */
  readonly ends: number;
  /** Rows without sense (an age that is no number, an exit before its entry: the clock stepped back). */
  readonly passedOver: number;
  /** Distinct ages at which sessions ended, ascending; the next four run along with it. */
  readonly ages: Float64Array;
  readonly atRisk: Float64Array;
  readonly survival: Float64Array;
  /** Cumulative hazard, -log of the survival; infinite once the survival is 0. */
  readonly hazard: Float64Array;
  /** Greenwood's sum, the variance of the log of the survival. */
  readonly variance: Float64Array;
  /** The longest age seen, ended or not: past it there is no data. */
  readonly lastAge: number;
  readonly tail: Tail;
}

/**
 * The product-limit estimate (Kaplan and Meier 1958) with delayed entry (Klein and Moeschberger, Survival Analysis, §4.6):
 * at each age the risk set holds those that were being watched just before it. O(n log n).
 *
 * With delayed entry the risk set may be empty of survivors at a young age, before others enter. The textbook estimate is
 * 0 from there on, whatever is seen later; such an age is passed over instead (Lai and Ying 1991 do so in general).
 */
export function kaplanMeier(sample: LifeSample): Survival {
  const kept = sensible(sample);
  const rows = kept.exit.length;
  const exits = kept.exit.toSorted();
  const entries = kept.entry.filter((age) => age > 0).sort();
  const ends = kept.exit.filter((_, row) => kept.ended[row] === 1).sort();
  const fromStart = rows - entries.length;
  const ages: number[] = [];
  const atRisk: number[] = [];
  const survival: number[] = [];
  const hazard: number[] = [];
  const variance: number[] = [];
  let entered = 0;
  let exited = 0;
  let left = 1;
  let greenwood = 0;
  for (let next = 0; next < ends.length;) {
    const age = ends[next] ?? 0;
    let after = next;
    while (after < ends.length && ends[after] === age) after++;
    const died = after - next;
    next = after;
    while (entered < entries.length && (entries[entered] ?? 0) < age) entered++;
    while (exited < rows && (exits[exited] ?? 0) < age) exited++;
    const risk = fromStart + entered - exited;
    if (died >= risk && entered < entries.length) continue;
    left *= (risk - died) / risk;
    if (risk > died) greenwood += died / (risk * (risk - died));
    ages.push(age);
    atRisk.push(risk);
    survival.push(left);
    hazard.push(left > 0 ? -Math.log(left) : Infinity);
    variance.push(greenwood);
  }
  const columns = { ages: Float64Array.from(ages), atRisk: Float64Array.from(atRisk) };
  return {
    sessions: rows,
    ends: ends.length,
    passedOver: sample.exit.length - rows,
    ...columns,
    survival: Float64Array.from(survival),
    hazard: Float64Array.from(hazard),
    variance: Float64Array.from(variance),
    lastAge: exits[rows - 1] ?? 0,
    tail: fitTail(kept, ends, columns),
  };
}

function sensible(sample: LifeSample): LifeSample {
  const { entry, exit, ended } = sample;
  let kept = 0;
  const rows = new Uint32Array(exit.length);
  for (let row = 0; row < exit.length; row++) {
    const from = entry[row] ?? Number.NaN;
    const to = exit[row] ?? Number.NaN;
    const makesSense = to < Infinity && from >= 0 && (to > from || (from === 0 && to === 0));
    if (makesSense) rows[kept++] = row;
  }
  if (kept === exit.length) return sample;
  return {
    entry: Float64Array.from(rows.subarray(0, kept), (row) => entry[row] ?? 0),
    exit: Float64Array.from(rows.subarray(0, kept), (row) => exit[row] ?? 0),
    ended: Uint8Array.from(rows.subarray(0, kept), (row) => ended[row] ?? 0),
  };
}

/** How many of the ascending `sorted` are at or below `value`. */
export function countUpTo(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The product-limit estimate at an age, in [0, 1], with no tail: flat after the last end that was seen. */
export function survivalAt(lengths: Survival, age: number): number {
  const step = countUpTo(lengths.ages, age);
  return step === 0 ? 1 : (lengths.survival[step - 1] ?? 1);
}

/** Greenwood's standard error of {@link survivalAt}; 0 before the first end and where the estimate is 0. */
export function standardErrorAt(lengths: Survival, age: number): number {
  const step = countUpTo(lengths.ages, age);
  if (step === 0) return 0;
  return (lengths.survival[step - 1] ?? 0) * Math.sqrt(lengths.variance[step - 1] ?? 0);
}

/**
 * The youngest age by which a share of all sessions has ended, from the product-limit estimate; past its reach from the
 * tail. Undefined where neither reaches: then nobody knows.
 *
 * @param share of sessions that have ended, 0 to 1
 */
export function lengthQuantile(lengths: Survival, share: number): number | undefined {
  const { tail, survival, ages } = lengths;
  const target = 1 - share;
  let low = 0;
  let high = survival.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((survival[middle] ?? 0) <= target + 1e-12) high = middle;
    else low = middle + 1;
  }
  const seen = ages[low];
  if (tail.kind === "unknown") return seen;
  if (seen !== undefined && seen <= tail.fromAge) return seen;
  if (target <= 0) return undefined;
  return ageOfHazard(lengths, tail, -Math.log(target));
}

function ageOfHazard(lengths: Survival, tail: Exclude<Tail, { kind: "unknown" }>, hazard: number): number {
  const step = countUpTo(lengths.ages, tail.fromAge);
  const beyond = hazard - (step === 0 ? 0 : (lengths.hazard[step - 1] ?? 0));
  if (beyond <= 0) return tail.fromAge;
  const scale = tail.scaleMs + tail.shape * (tail.fromAge - tail.threshold);
  return tail.fromAge + (tail.shape < 1e-9 ? scale * beyond : (scale / tail.shape) * Math.expm1(tail.shape * beyond));
}

/** The hazard that a session of some age still has before it, and how sure that is. */
export interface ResidualHazard {
  /** -log of the probability to last `forMs` longer. Infinite: nobody lasts that long. */
  readonly hazard: number;
  /** The variance of `hazard` from the estimate's own error. */
  readonly variance: number;
  /** False where the answer would need to know the tail, and it is not known: `hazard` is then too low. */
  readonly known: boolean;
}

/**
 * Residual life: what a session that has reached `age` faces in the next `forMs`. Up to where enough sessions are at risk
 * it is the product-limit estimate, after it the tail.
 */
export function residualHazard(lengths: Survival, age: number, forMs: number): ResidualHazard {
  const { tail } = lengths;
  const until = age + forMs;
  const reach = tail.kind === "unknown" ? Infinity : tail.fromAge;
  const from = countUpTo(lengths.ages, Math.min(age, reach));
  const to = countUpTo(lengths.ages, Math.min(until, reach));
  const low = from === 0 ? 0 : (lengths.hazard[from - 1] ?? 0);
  const high = to === 0 ? 0 : (lengths.hazard[to - 1] ?? 0);
  const seen = low === Infinity ? 0 : high - low;
  const spread = seenVariance(lengths, from, to);
  if (tail.kind === "unknown") return { hazard: seen, variance: spread, known: until <= lengths.lastAge };
  if (until <= reach) return { hazard: seen, variance: spread, known: true };
  const beyond = tailHazard(tail, Math.max(age, reach), until);
  // The further past the data, the more the error of the shape tells: to first order half a hazard more for each hazard.
  const relative = tail.relativeError * (1 + tailHazard(tail, reach, until) / 2);
  return { hazard: seen + beyond, variance: spread + (beyond * relative) ** 2, known: true };
}

function seenVariance(lengths: Survival, from: number, to: number): number {
  const low = from === 0 ? 0 : (lengths.variance[from - 1] ?? 0);
  return (to === 0 ? 0 : (lengths.variance[to - 1] ?? 0)) - low;
}

/** The probability, in [0, 1], that a session of an age lasts `forMs` longer. */
export function residualSurvival(lengths: Survival, age: number, forMs: number): number {
  return Math.exp(-residualHazard(lengths, age, forMs).hazard);
}

import { residualHazard, type Survival } from "./survival.ts";

/** Live sessions by age, in few bins: sessions of nearly the same age have nearly the same future. */
export interface AgeBins {
  readonly ageMs: Float64Array;
  readonly count: Float64Array;
  readonly sessions: number;
}

const MOST_BINS = 64;

/** Sorts ages (ms) into at most 64 bins of equally many sessions, each with the mean age of its own. */
export function binAges(ages: Float64Array): AgeBins {
  const sorted = ages.toSorted();
  const bins = Math.min(MOST_BINS, sorted.length);
  const ageMs = new Float64Array(bins);
  const count = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    const from = Math.floor((bin * sorted.length) / bins);
    const to = Math.floor(((bin + 1) * sorted.length) / bins);
    let total = 0;
    for (let row = from; row < to; row++) total += sorted[row] ?? 0;
    count[bin] = to - from;
    ageMs[bin] = total / (to - from);
  }
  return { ageMs, count, sessions: sorted.length };
}

/** When a release will have retired, in ms from now: the median and the two ends of the 80% interval. */
export interface RetirementForecast {
  readonly lowMs: number;
  readonly medianMs: number;
  readonly highMs: number;
  /** False where the end of the interval rests on lengths that were never seen: it is then the horizon. */
  readonly known: boolean;
}

export interface RetirementQuestion {
  readonly live: AgeBins;
  /** It has retired once at most this many are left: disruption budget × live at the cutover, rounded down. */
  readonly allowed: number;
  readonly lengths: Survival;
  /** What is left until the ceiling, ms; a forecast never goes past it. */
  readonly horizonMs: number;
}

/**
 * The estimate is itself uncertain, and its error moves all sessions the same way, so it does not average out over them.
 * Three points stand for that error (Gauss–Hermite), in units of its standard deviation, with their weights.
 */
const ERROR_POINTS = [
  [-Math.sqrt(3), 1 / 6],
  [0, 2 / 3],
  [Math.sqrt(3), 1 / 6],
] as const;
const NEVER = 700;

/**
 * The forecast that follows from the residual life of each live session given its age, before it is held against past
 * forecasts (see {@link calibrate}). The number left after a while is a sum of independent trials given the error of the
 * estimate; the answer is where it falls to `allowed` with probability 0.1, 0.5 and 0.9.
 */
export function forecastRetirement(question: RetirementQuestion): RetirementForecast {
  const { live, allowed, horizonMs } = question;
  if (live.sessions <= allowed) return { lowMs: 0, medianMs: 0, highMs: 0, known: true };
  const lowMs = timeOfProbability(question, 0.1, 1);
  const medianMs = timeOfProbability(question, 0.5, lowMs);
  const highMs = timeOfProbability(question, 0.9, medianMs);
  const oldest = live.ageMs.at(-1) ?? 0;
  const known = residualHazard(question.lengths, oldest, Math.min(highMs, horizonMs)).known;
  return { lowMs, medianMs, highMs, known };
}

function timeOfProbability(question: RetirementQuestion, probability: number, fromMs: number): number {
  const { horizonMs } = question;
  if (fromMs >= horizonMs || probabilityRetiredBy(question, horizonMs) < probability) return horizonMs;
  let low = Math.max(1, fromMs);
  if (probabilityRetiredBy(question, low) >= probability) return low;
  let high = Math.min(horizonMs, low * 4);
  while (probabilityRetiredBy(question, high) < probability) {
    low = high;
    high = Math.min(horizonMs, high * 4);
  }
  while (high / low > 1.004) {
    const middle = Math.sqrt(low * high);
    if (probabilityRetiredBy(question, middle) < probability) low = middle;
    else high = middle;
  }
  return high;
}

/** The probability that at most `allowed` sessions are left after `afterMs`. Never falls as time goes on. */
export function probabilityRetiredBy(question: RetirementQuestion, afterMs: number): number {
  const { live, lengths, allowed } = question;
  const bins = live.ageMs.length;
  const left = new Float64Array(bins);
  const sd = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    const { hazard, variance } = residualHazard(lengths, live.ageMs[bin] ?? 0, afterMs);
    left[bin] = hazard;
    sd[bin] = Math.sqrt(variance);
  }
  const chance = new Float64Array(bins);
  let probability = 0;
  for (const [point, weight] of ERROR_POINTS) {
    for (let bin = 0; bin < bins; bin++) chance[bin] = Math.exp(-moved(left[bin] ?? 0, sd[bin] ?? 0, point));
    probability += weight * atMost(allowed, live, chance);
  }
  return Math.min(1, probability);
}

/** A hazard moved by so many of its standard deviations on the log scale, where it stays above 0 and never falls in time. */
function moved(hazard: number, sd: number, by: number): number {
  if (hazard <= 0) return 0;
  if (hazard > NEVER) return NEVER;
  return hazard * Math.exp(by * Math.min(1, sd / hazard));
}

const EXACT_STEPS = 6000;

/** The probability of at most `most` successes in independent trials, by the size of the case: exact, or approximated. */
function atMost(most: number, live: AgeBins, chance: Float64Array): number {
  if (most === 0) return none(live, chance);
  if (live.sessions * (most + 1) <= EXACT_STEPS) return exact(most, live, chance);
  return refinedNormal(most, live, chance);
}

function none(live: AgeBins, chance: Float64Array): number {
  let log = 0;
  for (let bin = 0; bin < chance.length; bin++) log += (live.count[bin] ?? 0) * Math.log1p(-(chance[bin] ?? 0));
  return Math.exp(log);
}

function exact(most: number, live: AgeBins, chance: Float64Array): number {
  const mass = new Float64Array(most + 1);
  mass[0] = 1;
  for (let bin = 0; bin < chance.length; bin++) {
    const p = chance[bin] ?? 0;
    for (let trial = live.count[bin] ?? 0; trial > 0; trial--) {
      for (let many = most; many > 0; many--) mass[many] = (mass[many] ?? 0) * (1 - p) + (mass[many - 1] ?? 0) * p;
      mass[0] = (mass[0] ?? 0) * (1 - p);
    }
  }
  return mass.reduce((total, part) => total + part, 0);
}

/** Volkova's normal approximation with its correction for skewness (1996; compared in Hong 2013, "On computing the …"). */
function refinedNormal(most: number, live: AgeBins, chance: Float64Array): number {
  let mean = 0;
  let variance = 0;
  let third = 0;
  for (let bin = 0; bin < chance.length; bin++) {
    const p = chance[bin] ?? 0;
    const trials = live.count[bin] ?? 0;
    mean += trials * p;
    variance += trials * p * (1 - p);
    third += trials * p * (1 - p) * (1 - 2 * p);
  }
  if (variance < 1e-9) return mean <= most + 0.5 ? 1 : 0;
  const x = (most + 0.5 - mean) / Math.sqrt(variance);
  const skew = third / variance ** 1.5;
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  return Math.min(1, Math.max(0, normalBelow(x) + (skew * (1 - x * x) * density) / 6));
}

/** The normal distribution function (Abramowitz and Stegun 26.2.17; its error is below 1e-7). */
function normalBelow(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const above = (series * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  return x > 0 ? 1 - above : above;
}

/** The number of sessions left at a moment, `afterMs` from now. */
export interface LeftPoint {
  readonly afterMs: number;
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/**
 * How many sessions will be left, at each of the ascending times; none of the three lines ever rises.
 *
 * @param stretch how the calibrated forecast stands to the uncalibrated one, as factors of time (see {@link stretchOf})
 */
export function forecastLeft(
  live: AgeBins,
  lengths: Survival,
  timesMs: readonly number[],
  stretch: Stretch = { low: 1, median: 1, high: 1 },
): LeftPoint[] {
  const points: LeftPoint[] = [];
  let before = { low: live.sessions, median: live.sessions, high: live.sessions };
  for (const afterMs of timesMs) {
    const low = Math.min(before.low, leftAt(live, lengths, afterMs / stretch.low, -TEN_PERCENT));
    const median = Math.max(low, Math.min(before.median, leftAt(live, lengths, afterMs / stretch.median, 0)));
    const high = Math.max(median, Math.min(before.high, leftAt(live, lengths, afterMs / stretch.high, TEN_PERCENT)));
    before = { low, median, high };
    points.push({ afterMs, ...before });
  }
  return points;
}

/** The 90th percentile of the normal law, in standard deviations. */
const TEN_PERCENT = 1.2816;

function leftAt(live: AgeBins, lengths: Survival, afterMs: number, deviations: number): number {
  let mean = 0;
  let alone = 0;
  let together = 0;
  for (let bin = 0; bin < live.count.length; bin++) {
    const { hazard, variance } = residualHazard(lengths, live.ageMs[bin] ?? 0, afterMs);
    const p = Math.exp(-hazard);
    const sessions = live.count[bin] ?? 0;
    mean += sessions * p;
    alone += sessions * p * (1 - p);
    together += sessions * p * Math.sqrt(variance);
  }
  return Math.min(live.sessions, Math.max(0, mean + deviations * Math.sqrt(alone + together ** 2)));
}

/** Factors of time by which calibration stretches a forecast. */
export interface Stretch {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** How a calibrated forecast stands to the one it came from. */
export function stretchOf(model: RetirementForecast, calibrated: RetirementForecast): Stretch {
  const factor = (to: number, from: number) => (from > 0 && to > 0 ? to / from : 1);
  return {
    low: factor(calibrated.lowMs, model.lowMs),
    median: factor(calibrated.medianMs, model.medianMs),
    high: factor(calibrated.highMs, model.highMs),
  };
}

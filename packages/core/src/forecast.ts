import { residualHazard, type Survival } from "./survival.ts";

/** Live sessions by age, in few bins: sessions of nearly the same age have nearly the same future. Goes over the wire as it is. */
export interface AgeBins {
  /** The mean age of each bin, ms, ascending. */
  readonly ageMs: readonly number[];
  readonly count: readonly number[];
  /** The sum of the counts. */
  readonly sessions: number;
}

const MOST_BINS = 64;

/**
 * Sorts ages (ms) into at most 64 bins of equally many sessions, each with the mean age of its own. An age without sense (below
 * 0: the clock stepped back) counts as 0.
 *
 * @param sessions how many they stand for, where they are a sample; without a single age nothing is known, and it is none
 */
export function binAges(ages: Float64Array, sessions = ages.length): AgeBins {
  const sorted = ages.map((age) => (age > 0 && age < Infinity ? age : 0)).sort();
  const bins = Math.min(MOST_BINS, sorted.length);
  const all = bins === 0 ? 0 : Math.max(sessions, sorted.length);
  const ageMs: number[] = [];
  const count: number[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const from = Math.floor((bin * sorted.length) / bins);
    const to = Math.floor(((bin + 1) * sorted.length) / bins);
    let total = 0;
    for (let row = from; row < to; row++) total += sorted[row] ?? 0;
    count.push(Math.floor(((bin + 1) * all) / bins) - Math.floor((bin * all) / bins));
    ageMs.push(total / (to - from));
  }
  return { ageMs, count, sessions: all };
}

/** Open sessions that last alike: those of one label, or all of a service. */
export interface LiveGroup {
  readonly live: AgeBins;
  readonly lengths: Survival;
}

/** The open sessions of all groups. */
export function openSessions(groups: readonly LiveGroup[]): number {
  return groups.reduce((total, { live }) => total + live.sessions, 0);
}

/**
 * How long a session keeps its place without a connection. What holds a release at a moment is what was open a linger before,
 * and those that linger already; that one of them comes back is not foreseen.
 */
export interface Linger {
  /** From the end of the last connection to the end of the session, ms; 0 unless set. */
  readonly lingerMs?: number;
  /** What is left of its linger, ms, for each session that lingers already; none unless set. */
  readonly lingerers?: ArrayLike<number>;
}

function lingerOf({ lingerMs }: Linger): number {
  return lingerMs !== undefined && lingerMs > 0 ? lingerMs : 0;
}

/** How many of those that linger already still do after `afterMs`. */
function lingeringAfter({ lingerers = [] }: Linger, afterMs: number): number {
  let many = 0;
  for (let index = 0; index < lingerers.length; index++) if ((lingerers[index] ?? 0) > afterMs) many++;
  return many;
}

/** When at most `allowed` of those that linger already still do; infinite where `allowed` is below 0. */
function lingeredMs({ lingerers = [] }: Linger, allowed: number): number {
  if (!(allowed >= 0)) return Infinity;
  const longestFirst = Float64Array.from(lingerers, (ms) => (ms > 0 ? -ms : 0)).sort();
  return -(longestFirst[Math.floor(allowed)] ?? 0) + 0;
}

/** When a release will have retired, in ms from now: the median and the two ends of the 80% interval. */
export interface RetirementForecast {
  readonly lowMs: number;
  readonly medianMs: number;
  readonly highMs: number;
  /** False where the end of the interval rests on lengths that were never seen: it is then the horizon. */
  readonly known: boolean;
}

export interface RetirementQuestion extends Linger {
  readonly groups: readonly LiveGroup[];
  /** It has retired once at most this many are left: disruption budget × live at the cutover, rounded down. */
  readonly allowed: number;
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
  const { groups, allowed } = question;
  const horizonMs = question.horizonMs > 0 ? question.horizonMs : 0;
  const lingerMs = lingerOf(question);
  const withAllOpenMs = lingeredMs(question, allowed - openSessions(groups));
  if (withAllOpenMs <= lingerMs || withAllOpenMs === 0) {
    const atMs = Math.min(withAllOpenMs, horizonMs);
    return { lowMs: atMs, medianMs: atMs, highMs: atMs, known: true };
  }
  const withNoneOpenMs = lingeredMs(question, allowed);
  const retired = (openMs: number) => Math.min(openMs + lingerMs, withAllOpenMs, horizonMs);
  const openHorizonMs = horizonMs - lingerMs;
  const low = timeOfProbability(question, openHorizonMs, 0.1, Math.max(1, withNoneOpenMs - lingerMs));
  const median = timeOfProbability(question, openHorizonMs, 0.5, low);
  const high = timeOfProbability(question, openHorizonMs, 0.9, median);
  const foreseenMs = Math.min(high, openHorizonMs);
  const known = groups.every(({ live, lengths }) => {
    const oldest = live.ageMs.at(-1);
    return oldest === undefined || residualHazard(lengths, oldest, Math.max(0, foreseenMs)).known;
  });
  return { lowMs: retired(low), medianMs: retired(median), highMs: retired(high), known };
}

/** Counted from the moment a linger from now: until then no open session's end lets go of the release. */
function timeOfProbability(
  question: RetirementQuestion,
  horizonMs: number,
  probability: number,
  fromMs: number,
): number {
  if (fromMs >= horizonMs || chanceRetired(question, horizonMs) < probability) return horizonMs;
  let low = Math.max(1, fromMs);
  if (chanceRetired(question, low) >= probability) return low;
  let high = Math.min(horizonMs, low * 4);
  while (chanceRetired(question, high) < probability) {
    low = high;
    high = Math.min(horizonMs, high * 4);
  }
  while (high / low > 1.004) {
    const middle = Math.sqrt(low * high);
    if (chanceRetired(question, middle) < probability) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The probability that at most `allowed` sessions are left after `afterMs`. It does not fall as time goes on, but for the error
 * of the approximation that large cases take, below 0.05.
 */
export function probabilityRetiredBy(question: RetirementQuestion, afterMs: number): number {
  return chanceRetired(question, afterMs - lingerOf(question));
}

function chanceRetired(question: RetirementQuestion, openMs: number): number {
  const allowed = question.allowed - lingeringAfter(question, openMs + lingerOf(question));
  if (allowed < 0) return 0;
  const { count, sessions, hazard, sd } = facing(question.groups, Math.max(0, openMs));
  const chance = new Float64Array(count.length);
  let probability = 0;
  for (const [point, weight] of ERROR_POINTS) {
    for (let bin = 0; bin < count.length; bin++) chance[bin] = Math.exp(-moved(hazard[bin] ?? 0, sd[bin] ?? 0, point));
    probability += weight * atMost(allowed, { count, sessions }, chance);
  }
  return Math.min(1, probability);
}

/** Bins of sessions that each are left with the same probability. */
interface Trials {
  readonly count: Float64Array;
  readonly sessions: number;
}

/** What the bins of all groups face in the next `afterMs`, in one row of columns. */
function facing(groups: readonly LiveGroup[], afterMs: number) {
  const bins = groups.reduce((total, { live }) => total + live.count.length, 0);
  const count = new Float64Array(bins);
  const hazard = new Float64Array(bins);
  const sd = new Float64Array(bins);
  let row = 0;
  for (const { live, lengths } of groups) {
    for (let bin = 0; bin < live.count.length; bin++, row++) {
      const residual = residualHazard(lengths, live.ageMs[bin] ?? 0, afterMs);
      count[row] = live.count[bin] ?? 0;
      hazard[row] = residual.hazard;
      sd[row] = Math.sqrt(residual.variance);
    }
  }
  return { count, sessions: openSessions(groups), hazard, sd };
}

/** A hazard moved by so many of its standard deviations on the log scale, where it stays above 0 and never falls in time. */
function moved(hazard: number, sd: number, by: number): number {
  if (hazard <= 0) return 0;
  if (hazard > NEVER) return NEVER;
  return hazard * Math.exp(by * Math.min(1, sd / hazard));
}

const EXACT_STEPS = 6000;

/** The probability of at most `most` successes in independent trials, by the size of the case: exact, or approximated. */
function atMost(most: number, trials: Trials, chance: Float64Array): number {
  if (most === 0) return none(trials, chance);
  if (trials.sessions * (most + 1) <= EXACT_STEPS) return exact(most, trials, chance);
  return refinedNormal(most, trials, chance);
}

function none(trials: Trials, chance: Float64Array): number {
  let log = 0;
  for (let bin = 0; bin < chance.length; bin++) log += (trials.count[bin] ?? 0) * Math.log1p(-(chance[bin] ?? 0));
  return Math.exp(log);
}

function exact(most: number, trials: Trials, chance: Float64Array): number {
  const mass = new Float64Array(most + 1);
  mass[0] = 1;
  for (let bin = 0; bin < chance.length; bin++) {
    const p = chance[bin] ?? 0;
    for (let trial = trials.count[bin] ?? 0; trial > 0; trial--) {
      for (let many = most; many > 0; many--) mass[many] = (mass[many] ?? 0) * (1 - p) + (mass[many - 1] ?? 0) * p;
      mass[0] = (mass[0] ?? 0) * (1 - p);
    }
  }
  return mass.reduce((total, part) => total + part, 0);
}

/** Volkova's normal approximation with its correction for skewness (1996; compared in Hong 2013, "On computing the …"). */
function refinedNormal(most: number, trials: Trials, chance: Float64Array): number {
  let mean = 0;
  let variance = 0;
  let third = 0;
  for (let bin = 0; bin < chance.length; bin++) {
    const p = chance[bin] ?? 0;
    const many = trials.count[bin] ?? 0;
    mean += many * p;
    variance += many * p * (1 - p);
    third += many * p * (1 - p) * (1 - 2 * p);
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
  groups: readonly LiveGroup[],
  timesMs: readonly number[],
  stretch: Stretch = { low: 1, median: 1, high: 1 },
  linger: Linger = {},
): LeftPoint[] {
  const lingerMs = lingerOf(linger);
  const open = openSessions(groups);
  const points: LeftPoint[] = [];
  let before = { low: open, median: open, high: open };
  for (const afterMs of timesMs) {
    const openMs = Math.max(0, afterMs - lingerMs);
    const low = Math.min(before.low, leftAt(groups, openMs / stretch.low, -TEN_PERCENT));
    const median = Math.max(low, Math.min(before.median, leftAt(groups, openMs / stretch.median, 0)));
    const high = Math.max(median, Math.min(before.high, leftAt(groups, openMs / stretch.high, TEN_PERCENT)));
    before = { low, median, high };
    const lingering = lingeringAfter(linger, afterMs);
    points.push({ afterMs, low: low + lingering, median: median + lingering, high: high + lingering });
  }
  return points;
}

/** The number of sessions expected to be left after `afterMs`. */
export function expectedLeft(groups: readonly LiveGroup[], afterMs: number, linger: Linger = {}): number {
  return leftAt(groups, Math.max(0, afterMs - lingerOf(linger)), 0) + lingeringAfter(linger, afterMs);
}

/** The 90th percentile of the normal law, in standard deviations. */
const TEN_PERCENT = 1.2816;

function leftAt(groups: readonly LiveGroup[], afterMs: number, deviations: number): number {
  const { count, sessions, hazard, sd } = facing(groups, afterMs);
  let mean = 0;
  let alone = 0;
  let together = 0;
  for (let bin = 0; bin < count.length; bin++) {
    const p = Math.exp(-(hazard[bin] ?? 0));
    const many = count[bin] ?? 0;
    mean += many * p;
    alone += many * p * (1 - p);
    together += many * p * (sd[bin] ?? 0);
  }
  return Math.min(sessions, Math.max(0, mean + deviations * Math.sqrt(alone + together ** 2)));
}

/** Factors of time by which calibration stretches a forecast. */
export interface Stretch {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/**
 * How a calibrated forecast stands to the one it came from.
 *
 * @param lingerMs the linger in both, which is certain and is not stretched
 */
export function stretchOf(model: RetirementForecast, calibrated: RetirementForecast, lingerMs = 0): Stretch {
  const factor = (to: number, from: number) =>
    from > lingerMs && to > lingerMs ? (to - lingerMs) / (from - lingerMs) : 1;
  return {
    low: factor(calibrated.lowMs, model.lowMs),
    median: factor(calibrated.medianMs, model.medianMs),
    high: factor(calibrated.highMs, model.highMs),
  };
}

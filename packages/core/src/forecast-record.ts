import type { RetirementForecast } from "./forecast.ts";

/**
 * A service's own past forecasts, by which the next one is corrected. A plain value: kept as JSON, given in, given out.
 *
 * Deploys are rare, so the forecasts held to account are trials: every few minutes "if the current release were replaced now,
 * when would it have retired?". Each is settled by what really happened to the sessions that were live then.
 */
export interface ForecastRecord {
  /** Trials whose outcome is known, oldest first. */
  readonly settled: readonly SettledTrial[];
  /** Trials that still wait for theirs, oldest first. */
  readonly pending: readonly PendingTrial[];
  /** When the last trial was made; null before the first. */
  readonly lastAtMs: number | null;
  /** The shares left outside below and above, adapted so that a tenth falls outside on each side (see {@link settle}). */
  readonly outside: { readonly low: number; readonly high: number };
  /** How far each lens has been off lately (mean pinball loss, log scale). */
  readonly loss: Readonly<Record<Lens, number>>;
}

/**
 * Which past trials speak for the present one: the latest; those at the same minutes of an hour (classes that end on the
 * hour); those at the same time of day; those with as many sessions and as long a forecast.
 */
export const LENSES = ["recent", "hour", "day", "alike"] as const;
export type Lens = (typeof LENSES)[number];

/** What was asked: the sessions that were live on one release at a moment. */
export interface TrialQuestion {
  readonly atMs: number;
  /** Whose sessions: the trial is about those that were open on it at `atMs`. */
  readonly release: string;
  readonly live: number;
  readonly allowed: number;
}

export interface PendingTrial extends TrialQuestion {
  /** The log of the model's median in ms, and how far its interval reaches below and above it. */
  readonly centre: number;
  readonly below: number;
  readonly above: number;
  /** What it counts for, up to 1: trials closer together than half their outcome see the same sessions end. */
  readonly weight: number;
  readonly ceilingMs: number;
  /** What each lens said: low, median, high on the log scale. */
  readonly said: Readonly<Record<Lens, readonly [number, number, number]>>;
  readonly lens: Lens;
}

export interface SettledTrial {
  readonly atMs: number;
  readonly live: number;
  readonly centre: number;
  readonly weight: number;
  /** Where the outcome lay: -1 and 1 are the ends of the model's interval, 0 its median. */
  readonly score: number;
  /** False: the ceiling came first, the outcome would have been later. */
  readonly exact: boolean;
}

export interface CalibratedForecast extends RetirementForecast {
  readonly lens: Lens;
  /** Settled trials that it rests on; 0: on the model alone. */
  readonly trials: number;
}

const MOST_SETTLED = 1024;
const MOST_PENDING = 256;
/** The step of adaptive conformal inference for a trial of full weight. */
const STEP = 0.03;
const FORGET = 0.95;
/** What the weight of a trial is multiplied with at each one after it: a thousand back it counts a twentieth. */
const MEMORY = 0.997;
/** Another lens than the latest trials has to be so much better: the best of several that are equal is best by luck. */
const BETTER = 0.95;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The share outside the interval on each side, when nothing was adapted. */
const OUTSIDE = 0.1;
/** An interval narrower than this (log scale) would make any outcome look like a miracle. */
const LEAST_REACH = 0.05;
/**
 * What is believed before there are trials, with the weight of five: that the interval has to be three tenths wider. Residual
 * lives taken as independent can only be too sure: whatever sessions share (a teacher, a network, an evening) widens it.
 */
const PRIOR_TRIALS = 5;
const PRIOR_WIDER = 1.3;
/** The standard normal law in units in which the ends of its 80% interval are -1 and 1: its values, and its variance. */
/** An odd number, so that their median is 0. */
const PRIOR_MANY = 41;
const PRIOR_SCORES = Array.from({ length: PRIOR_MANY }, (_, index) => {
  const share = (index + 0.5) / PRIOR_MANY;
  return Math.log(share / (1 - share)) / Math.log(1 / OUTSIDE - 1);
});
const UNIT_VARIANCE = 1 / 1.2816 ** 2;
/** One outcome that nobody thought possible says that it was possible, not how far off the next one will be. */
const FURTHEST = 5;

export function emptyForecastRecord(): ForecastRecord {
  return {
    settled: [],
    pending: [],
    lastAtMs: null,
    outside: { low: OUTSIDE, high: OUTSIDE },
    loss: { recent: 0, hour: 0, day: 0, alike: 0 },
  };
}

interface Score {
  readonly score: number;
  readonly exact: boolean;
  readonly atMs: number;
  readonly live: number;
  readonly centre: number;
  readonly weight: number;
  readonly rank: number;
  /** Its weight, less what it lost by age. */
  readonly recent: number;
}

/**
 * Corrects a forecast by how past ones came out: conformal prediction on the score (log outcome - log median) / scale, with
 * the shares outside adapted to the misses (Gibbs and Candès 2021), localised by the lens that erred least lately. Trials that
 * still wait are in it too, as outcomes later than now: left out, the long ones would be missing whenever times grow.
 *
 * @param ceilingMs what is left until the ceiling; the answer never goes past it
 */
export function calibrate(
  record: ForecastRecord,
  model: RetirementForecast,
  question: TrialQuestion,
  ceilingMs: number,
): CalibratedForecast {
  if (model.medianMs <= 0) return { ...model, lens: "recent", trials: 0 };
  const said = everyLens(record, shapeOf(model), question);
  const lens = bestLens(record);
  const [low, median, high] = said[lens].map((log) => Math.min(ceilingMs, Math.exp(log))) as [number, number, number];
  return {
    lowMs: low,
    medianMs: median,
    highMs: high,
    known: model.known,
    lens,
    trials: record.settled.length,
  };
}

function bestLens(record: ForecastRecord): Lens {
  const { loss } = record;
  const best = LENSES.reduce((best, lens) => (loss[lens] < loss[best] ? lens : best));
  return loss[best] < BETTER * loss.recent ? best : "recent";
}

interface Shape {
  readonly centre: number;
  readonly below: number;
  readonly above: number;
}

function shapeOf(model: RetirementForecast): Shape {
  const centre = Math.log(Math.max(1, model.medianMs));
  const below = Math.max(LEAST_REACH, centre - Math.log(Math.max(1, model.lowMs)));
  const above = Math.max(LEAST_REACH, Math.log(Math.max(1, model.highMs)) - centre);
  return { centre, below, above };
}

function scoreOf(shape: Shape, ms: number): number {
  const off = Math.log(Math.max(1, ms)) - shape.centre;
  return off / (off < 0 ? shape.below : shape.above);
}

function everyLens(record: ForecastRecord, shape: Shape, question: TrialQuestion): PendingTrial["said"] {
  const scores = scoresAt(record, question.atMs);
  const shares = [record.outside.low, 0.5, 1 - record.outside.high] as const;
  const say = (lens: Lens): readonly [number, number, number] => {
    const weights = scores.map((score) => weightOf(lens, score, question, shape.centre));
    const [low = 0, median = 0, high = 0] = weightedQuantiles(scores, weights, shares).map(
      (score) => shape.centre + score * (score < 0 ? shape.below : shape.above),
    );
    return [low, median, high];
  };
  return { recent: say("recent"), hour: say("hour"), day: say("day"), alike: say("alike") };
}

function scoresAt(record: ForecastRecord, nowMs: number): Score[] {
  const newest = record.settled.length + record.pending.length;
  const settled = record.settled.map(({ atMs, live, centre, weight, score, exact }, index) => {
    const rank = newest - index;
    return { score, exact, atMs, live, centre, weight, rank, recent: weight * MEMORY ** rank };
  });
  const pending = record.pending.map((trial, index) => {
    const { atMs, live, centre, weight } = trial;
    const rank = record.pending.length - index;
    const score = scoreOf(trial, nowMs - atMs);
    return {
      score,
      exact: false,
      atMs,
      live,
      centre,
      weight,
      rank,
      recent: weight * MEMORY ** rank,
    };
  });
  const weight = PRIOR_TRIALS / PRIOR_SCORES.length;
  const wider = widening([...settled, ...pending]);
  const scores: Score[] = [...settled, ...pending];
  for (const score of PRIOR_SCORES) {
    scores.push({
      score: score * wider,
      exact: true,
      atMs: Number.NaN,
      live: 0,
      centre: 0,
      weight,
      rank: 0,
      recent: weight,
    });
  }
  return scores.sort((a, b) => a.score - b.score || Number(b.exact) - Number(a.exact));
}

/**
 * How much too narrow the intervals have been. A spread is learned from far fewer trials than its tenths: until there are
 * enough of them to read these off, the prior is as wide as the trials so far were. It is never narrower: that is left to the
 * trials themselves, of which neighbours are no independent witnesses.
 */
function widening(trials: readonly Score[]): number {
  let weights = PRIOR_TRIALS;
  let squares = PRIOR_TRIALS * PRIOR_WIDER ** 2 * UNIT_VARIANCE;
  for (const trial of trials) {
    // Of one that still waits only an outcome already late is known to be off.
    if (!trial.exact && trial.score <= 0) continue;
    const weight = trial.recent;
    weights += weight;
    squares += weight * Math.min(FURTHEST, Math.abs(trial.score)) ** 2;
  }
  return Math.max(PRIOR_WIDER, Math.sqrt(squares / weights / UNIT_VARIANCE));
}

/** A trial that a lens does not look at still counts a little, so that few alike lean on the many others. */
const ASIDE = 0.01;

function weightOf(lens: Lens, score: Score, question: TrialQuestion, centre: number): number {
  if (Number.isNaN(score.atMs)) return lens === "recent" ? score.weight : 0.3 * score.weight;
  const { recent } = score;
  switch (lens) {
    case "recent":
      return recent;
    case "hour":
      return recent * (ASIDE + near(phaseApart(score.atMs, question.atMs, HOUR_MS), HOUR_MS / 30));
    case "day":
      return recent * (ASIDE + near(phaseApart(score.atMs, question.atMs, DAY_MS), DAY_MS / 24));
    case "alike":
      return (
        recent *
        (ASIDE + near(Math.hypot(Math.log((score.live + 1) / (question.live + 1)), score.centre - centre), 0.4))
      );
  }
}

function near(distance: number, width: number): number {
  return Math.exp(-0.5 * (distance / width) ** 2);
}

function phaseApart(aMs: number, bMs: number, periodMs: number): number {
  const apart = Math.abs(aMs - bMs) % periodMs;
  return Math.min(apart, periodMs - apart);
}

/** The product-limit quantiles of weighted, ascending scores, some of them only lower bounds; for ascending shares. */
function weightedQuantiles(scores: readonly Score[], weights: readonly number[], shares: readonly number[]): number[] {
  let atRisk = 0;
  for (const weight of weights) atRisk += weight;
  let above = 1;
  let last = 0;
  const found: number[] = [];
  // Thousands of times a second in a simulation: an iterator of entries would be most of the time.
  for (let index = 0; index < scores.length && found.length < shares.length; index++) {
    const { score, exact } = scores[index] as Score;
    const weight = weights[index] ?? 0;
    if (exact) {
      above *= Math.max(0, 1 - weight / atRisk);
      last = score;
      while (found.length < shares.length && 1 - above >= (shares[found.length] ?? 1)) found.push(score);
    }
    atRisk -= weight;
  }
  const most = Math.max(last, scores.at(-1)?.score ?? 0);
  return shares.map((_, index) => found[index] ?? most);
}

/** Notes a trial, so that its outcome can correct later forecasts. Without a live session there is nothing to learn. */
export function remember(
  record: ForecastRecord,
  model: RetirementForecast,
  question: TrialQuestion,
  ceilingMs: number,
): ForecastRecord {
  if (model.medianMs <= 0) return record;
  const shape = shapeOf(model);
  const gapMs = question.atMs - (record.lastAtMs ?? Number.NEGATIVE_INFINITY);
  const trial: PendingTrial = {
    ...question,
    ...shape,
    weight: Math.min(1, Math.max(0.001, (2 * gapMs) / Math.exp(shape.centre))),
    ceilingMs,
    said: everyLens(record, shape, question),
    lens: bestLens(record),
  };
  return {
    ...record,
    lastAtMs: question.atMs,
    pending: [...record.pending, trial].slice(-MOST_PENDING),
  };
}

/**
 * Settles the trials whose outcome is known by now.
 *
 * @param retiredAtMs when at most `allowed` of a trial's sessions were left; undefined while more are
 */
export function settle(
  record: ForecastRecord,
  nowMs: number,
  retiredAtMs: (trial: PendingTrial) => number | undefined,
): ForecastRecord {
  const pending: PendingTrial[] = [];
  const settled: SettledTrial[] = [];
  const loss = { ...record.loss };
  const outside = { ...record.outside };
  for (const trial of record.pending) {
    const retired = retiredAtMs(trial);
    const elapsed = (retired ?? nowMs) - trial.atMs;
    const exact = retired !== undefined && elapsed < trial.ceilingMs;
    if (!exact && elapsed < trial.ceilingMs) {
      pending.push(trial);
      continue;
    }
    const outcome = Math.log(Math.max(1, Math.min(elapsed, trial.ceilingMs)));
    const ceiling = Math.log(trial.ceilingMs);
    const keep = FORGET ** trial.weight;
    for (const lens of LENSES)
      loss[lens] = keep * loss[lens] + (1 - keep) * pinball(trial.said[lens], outcome, ceiling);
    const [low, , high] = trial.said[trial.lens];
    outside.low = stepped(outside.low, trial.weight, outcome < Math.min(low, ceiling));
    outside.high = stepped(outside.high, trial.weight, outcome > Math.min(high, ceiling));
    const { atMs, live, centre, weight } = trial;
    settled.push({ atMs, live, centre, weight, score: scoreOf(trial, Math.exp(outcome)), exact });
  }
  if (settled.length === 0) return record;
  return {
    ...record,
    settled: [...record.settled, ...settled].slice(-MOST_SETTLED),
    pending,
    outside,
    loss,
  };
}

function stepped(share: number, weight: number, missed: boolean): number {
  return Math.min(0.3, Math.max(0.01, share + weight * STEP * (OUTSIDE - (missed ? 1 : 0))));
}

function pinball(said: readonly [number, number, number], outcome: number, ceiling: number): number {
  const shares = [OUTSIDE, 0.5, 1 - OUTSIDE] as const;
  let total = 0;
  for (const [index, share] of shares.entries()) {
    const off = outcome - Math.min(said[index] ?? 0, ceiling);
    total += off >= 0 ? share * off : (share - 1) * off;
  }
  return total;
}

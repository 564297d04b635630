import {
  allowedCuts,
  binAges,
  calibrate,
  checkWindowPolicy,
  DEFAULT_CEILING_MS,
  emptyForecastRecord,
  type ForecastRecord,
  forecastRetirement,
  formatDuration,
  HoldoverError,
  LENGTHS_WINDOW,
  type LengthsWindow,
  quantileWindow,
  remember,
  type RetirementForecast,
  type SessionLengths,
  settle,
  type TrialQuestion,
  UNBOUNDED_HORIZON_MS,
  type WindowPolicy,
} from "@holdover/core";
import { historyOf } from "./history.ts";
import { type PolicyOutcome, type ReleaseOutcome, summarise } from "./outcome.ts";
import { foldTrace, type Trace } from "./trace.ts";

export { joinOutcomes, type PolicyOutcome, type ReleaseOutcome } from "./outcome.ts";

export interface RetentionRun {
  readonly sessions: Trace;
  /** Time between deploys, ms. */
  readonly every: number;
  /** When the first deploy comes, ms; `every` unless set. */
  readonly first?: number;
  readonly policies: readonly WindowPolicy[];
  /** The budget that every policy is held to; one of policy `budget` is held to its own. */
  readonly disruptionBudget?: number;
  /** Lays periods of so many ms over each other first. */
  readonly fold?: number;
  /** Where the trial forecasts fall between deploys. The same seed gives the same answer to the last digit. */
  readonly seed: number;
  readonly lengths?: LengthsWindow;
  /** Told again and again how much of it is done, as a share of 1. */
  readonly onProgress?: (done: number) => void;
}

/** Trial forecasts between two deploys, from which the forecast learns. */
const TRIALS = 8;
/** A run that deploys very often tries less between deploys, whose own forecasts then do. */
const MOST_MOMENTS = 4000;
/** A deploy takes a millisecond or two, so this many end within a minute. */
const MOST_DEPLOYS = 10_000;
/** How often control looks at what is left, ms: a release lives so much longer than it has to, at most. */
const LOOK_EVERY_MS = 1000;
/** The fractional part of the golden ratio: multiples of it fall evenly into every period, so no minute is left untried. */
const GOLDEN = 0.618033988749895;

/**
 * Deploys again and again on a trace and tells how each policy does. A release holds the sessions that began while it was
 * current; what control knows at each moment is what the trace has shown by then.
 *
 * @throws HoldoverError USAGE_INVALID for times that are none, CONFIG_INVALID for a policy that means nothing
 */
export function simulateRetention(run: RetentionRun): PolicyOutcome[] {
  check(run);
  const trace = run.fold === undefined ? run.sessions : foldTrace(run.sessions, run.fold);
  const endMs = trace.startMs.map((start, row) => start + (trace.durationMs[row] ?? 0));
  const history = historyOf(trace, endMs, run.lengths ?? LENGTHS_WINDOW);
  const lastMs = trace.startMs.at(-1) ?? 0;
  const plays = run.policies.map((policy) => playOf(policy, run.disruptionBudget ?? 0));
  let deployedMs = Number.NEGATIVE_INFINITY;
  for (const { atMs, deploy } of momentsOf(run, lastMs)) {
    run.onProgress?.(lastMs > 0 ? atMs / lastMs : 1);
    history.moveTo(atMs);
    const openedFromMs = deploy ? deployedMs : atMs - run.every;
    const live = history.liveSince(openedFromMs);
    const ages = Float64Array.from(live, (row) => atMs - (trace.startMs[row] ?? 0));
    const left = Float64Array.from(live, (row) => (endMs[row] ?? 0) - atMs).sort();
    const lengths = history.lengths();
    const foresee = foresight(ages, lengths);
    for (const play of plays) {
      follow(play, atMs, lengths);
      if (live.length > 0) {
        ask(play, { atMs, release: `${openedFromMs}`, live: live.length, deploy }, foresee, left, lengths);
      }
    }
    if (deploy) deployedMs = atMs;
  }
  return plays.map((play) => {
    follow(play, Infinity, history.lengths());
    return summarise(play.policy, play.budget, play.outcomes, { spanMs: lastMs });
  });
}

function check(run: RetentionRun): void {
  const refuse = (problem: string, remedy: string) => {
    throw new HoldoverError("USAGE_INVALID", { problem, remedy });
  };
  if (!(run.every >= LOOK_EVERY_MS)) refuse(`a deploy every ${run.every} ms is none`, "Write 1s or more.");
  const first = run.first ?? run.every;
  if (!(first >= 0 && Number.isFinite(first))) refuse(`a first deploy at ${first} ms is none`, "Write 0 or more.");
  const budget = run.disruptionBudget ?? 0;
  if (!(budget >= 0 && budget <= 1)) refuse(`a disruption budget of ${budget} is no share`, "Write 0 to 1.");
  for (const policy of run.policies) checkWindowPolicy(policy);
}

/** Deploys, and between them the moments of trial forecasts, ascending. */
function momentsOf(run: RetentionRun, lastMs: number): { readonly atMs: number; readonly deploy: boolean }[] {
  const first = run.first ?? run.every;
  const deploys = lastMs < first ? 0 : Math.floor((lastMs - first) / run.every) + 1;
  if (deploys > MOST_DEPLOYS) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: `a deploy every ${formatDuration(run.every)} of ${formatDuration(lastMs)} is ${deploys} deploys`,
      remedy: `Deploy less often: at most ${MOST_DEPLOYS} are simulated.`,
    });
  }
  const trials = Math.max(0, Math.min(TRIALS, Math.floor(MOST_MOMENTS / Math.max(1, deploys)) - 1));
  const step = run.every / Math.max(1, trials);
  const moments: { atMs: number; deploy: boolean }[] = [];
  for (let index = 0; index < deploys; index++) moments.push({ atMs: first + index * run.every, deploy: true });
  const tried = trials > 0 ? Math.ceil(lastMs / step) : 0;
  for (let index = 0; index < tried; index++) {
    const offset = ((index + run.seed) * GOLDEN) % 1;
    moments.push({ atMs: Math.floor((index + offset) * step), deploy: false });
  }
  return moments.sort((a, b) => a.atMs - b.atMs || Number(a.deploy) - Number(b.deploy));
}

/** One policy on its way through the trace. */
interface Play {
  readonly policy: WindowPolicy;
  readonly budget: number;
  readonly outcomes: ReleaseOutcome[];
  record: ForecastRecord;
  /** When each trial that still waits will have retired, by its moment. */
  readonly retiresAtMs: Map<number, number>;
  /** Releases whose window follows the lengths while they are retained. */
  following: { readonly cutoverMs: number; deadlineMs: number; readonly close: (windowMs: number) => void }[];
}

function playOf(policy: WindowPolicy, budget: number): Play {
  const own = policy.policy === "budget" ? policy.disruptionBudget : budget;
  return { policy, budget: own, outcomes: [], record: emptyForecastRecord(), retiresAtMs: new Map(), following: [] };
}

function follow(play: Play, nowMs: number, lengths: SessionLengths): void {
  const { policy } = play;
  if (policy.policy === "quantile") {
    const { windowMs } = quantileWindow(policy, lengths);
    play.following = play.following.filter((release) => {
      // What was said holds until it is reached; only a window that is still open moves, and never into the past.
      if (release.deadlineMs > nowMs) release.deadlineMs = Math.max(nowMs, release.cutoverMs + windowMs);
      if (release.deadlineMs > nowMs) return true;
      release.close(release.deadlineMs - release.cutoverMs);
      return false;
    });
  }
  play.record = settle(play.record, nowMs, (trial) => {
    const retires = play.retiresAtMs.get(trial.atMs) ?? nowMs;
    return retires <= nowMs ? retires : undefined;
  });
  for (const [atMs, retires] of play.retiresAtMs) if (retires <= nowMs) play.retiresAtMs.delete(atMs);
}

function ask(
  play: Play,
  question: Omit<TrialQuestion, "allowed"> & { readonly deploy: boolean },
  foresee: Foresight,
  left: Float64Array,
  lengths: SessionLengths,
): void {
  const { policy } = play;
  const sessions = left.length;
  const budgeted = allowedCuts(play.budget, sessions);
  const limitMs = hardStopMs(policy);
  // Kept warm for a rollback, whoever knows what.
  const clairvoyantMs = Math.max(policy.floor, Math.min(limitMs, left[sessions - budgeted - 1] ?? 0));
  const outcome = (windowMs: number, forecast?: ReleaseOutcome["forecast"]) => {
    const usedMs = Math.max(policy.floor, Math.min(windowMs, looked(left[sessions - 1] ?? 0)));
    const cut = sessions - countLeft(left, usedMs);
    const ceiling = "ceiling" in policy && usedMs >= policy.ceiling;
    play.outcomes.push({
      cutoverMs: question.atMs,
      live: sessions,
      windowMs: usedMs,
      clairvoyantMs,
      cut,
      ceiling,
      forecast,
    });
  };
  if (policy.policy === "fixed" || policy.policy === "quantile") {
    if (!question.deploy) return;
    if (policy.policy === "fixed") return outcome(Math.max(policy.window, policy.floor));
    const deadlineMs = question.atMs + quantileWindow(policy, lengths).windowMs;
    play.following.push({ cutoverMs: question.atMs, deadlineMs, close: outcome });
    return;
  }
  const allowed = policy.policy === "budget" ? budgeted : 0;
  const retiredMs = left[sessions - allowed - 1] ?? 0;
  const asked = { ...question, allowed };
  let forecast: ReleaseOutcome["forecast"];
  const model = retiredMs > 0 ? foresee(allowed) : undefined;
  if (model) {
    if (question.deploy) {
      forecast = { ...calibrate(play.record, model, asked, limitMs), model, actualMs: Math.min(retiredMs, limitMs) };
    }
    play.record = remember(play.record, model, asked, limitMs);
    play.retiresAtMs.set(question.atMs, question.atMs + retiredMs);
  }
  if (question.deploy) outcome(Math.min(limitMs, looked(retiredMs)), forecast);
}

/** The forecast of a moment, not cut off at any ceiling; undefined without an estimate of lengths. */
type Foresight = (allowed: number) => RetirementForecast | undefined;

/** What several policies ask of one moment is worked out once. */
function foresight(ages: Float64Array, lengths: SessionLengths): Foresight {
  if (lengths.kind === "unknown") return () => undefined;
  const groups = [{ live: binAges(ages), lengths: lengths.lengths }];
  const made = new Map<number, RetirementForecast>();
  return (allowed) => {
    const known = made.get(allowed);
    if (known) return known;
    const model = forecastRetirement({ groups, allowed, horizonMs: UNBOUNDED_HORIZON_MS });
    made.set(allowed, model);
    return model;
  };
}

/** What no window of a policy passes, nor that of a clairvoyant beside it. */
function hardStopMs(policy: WindowPolicy): number {
  switch (policy.policy) {
    case "budget":
    case "quantile":
      return policy.ceiling;
    case "fixed":
      return Math.max(policy.window, DEFAULT_CEILING_MS);
    case "until-empty":
      return UNBOUNDED_HORIZON_MS;
  }
}

/** When control notices what happened after `ms`. */
function looked(ms: number): number {
  return Math.ceil(ms / LOOK_EVERY_MS) * LOOK_EVERY_MS;
}

function countLeft(ascendingMs: Float64Array, windowMs: number): number {
  let ended = 0;
  while (ended < ascendingMs.length && (ascendingMs[ended] ?? 0) <= windowMs) ended++;
  return ended;
}

import {
  expectedLeft,
  forecastRetirement,
  type Linger,
  type LiveGroup,
  type RetirementForecast,
  type Stretch,
  stretchOf,
} from "./forecast.ts";
import { hindcast, type HourHindcast } from "./hindcast.ts";
import type { SessionLengths, SessionSpans } from "./session-lengths.ts";
import { residualSurvival } from "./survival.ts";
import { allowedCuts, checkWindowPolicy, type WindowPolicy, windowOf, type WindowVerdict } from "./windows.ts";

const HOUR_MS = 3_600_000;
/** How far a forecast looks where no window ends. */
export const UNBOUNDED_HORIZON_MS = 30 * 24 * HOUR_MS;

/** What is known before a deploy of the release that it would replace. */
export interface DeployQuestion {
  readonly nowMs: number;
  /** The window policy in force. */
  readonly policy: WindowPolicy;
  /** Sessions that hold the current release, open or lingering; undefined: nobody could count them. */
  readonly left: number | undefined;
  /** The open ones by age; undefined: their ages or their lengths are not known. */
  readonly groups: readonly LiveGroup[] | undefined;
  readonly linger: Linger;
  readonly lengths: SessionLengths;
  /** The calibrated answer to {@link deployQuestion}; undefined: the lengths are not known. */
  readonly forecast: RetirementForecast | undefined;
  /** Instances of the current release. */
  readonly instances: number;
  /** Sessions of the whole service, and from when on no end is missing in them (see {@link hindcast}). */
  readonly history: { readonly spans: SessionSpans; readonly sinceMs: number };
}

/** What a deploy would mean for the release that it replaces, were it cut over now. */
export interface DeployPlan {
  readonly left: number | undefined;
  /** Sessions that may be cut. */
  readonly allowed: number;
  /** The window as it would be said at the cutover. */
  readonly window: WindowVerdict;
  /** How long the old release will live, from the cutover, within its window and no shorter than its floor; undefined: nobody knows. */
  readonly oldLives: RetirementForecast | undefined;
  /** How many sessions are expected to be left, and would be cut, where it is kept to its ceiling (or to its fixed window); undefined: nobody knows. */
  readonly cutAtCeiling: number | undefined;
  /** What running the old release beside the new one costs. */
  readonly overlap: Overlap;
  /** The next 24 hours, from the current one. */
  readonly hours: readonly HourHindcast[];
  /** The hour in which the old release would live shortest, the first of several; undefined: no hour is known. */
  readonly cheapest: HourHindcast | undefined;
}

/** Instance-hours of the old release from the cutover on. */
export interface Overlap {
  /** For the low, the median and the high end of {@link DeployPlan.oldLives}; undefined: nobody knows. */
  readonly expected: { readonly low: number; readonly median: number; readonly high: number } | undefined;
  /** If none of them could stop before the window ends; null where nothing ends it. */
  readonly most: number | null;
}

/** The retirement that a deploy has to be planned with: how many may be left, and for how long it may take. */
export function deployQuestion(
  policy: WindowPolicy,
  left: number,
): { readonly allowed: number; readonly horizonMs: number } {
  const allowed = policy.policy === "budget" ? allowedCuts(policy.disruptionBudget, left) : 0;
  switch (policy.policy) {
    case "budget":
    case "quantile":
      return { allowed, horizonMs: policy.ceiling };
    case "fixed":
      return { allowed, horizonMs: Math.max(policy.window, policy.floor) };
    case "until-empty":
      return { allowed, horizonMs: UNBOUNDED_HORIZON_MS };
  }
}

/**
 * The answer of `holdover plan deploy`.
 *
 * It takes the sessions as they are now: those that begin between now and the cutover are not in it, nor those that come
 * back from their linger. Instance-hours assume sessions spread evenly over the instances and an instance that stops with
 * its last session, the last one of all with the release; they leave out the grace after the window, the time that an
 * instance takes to stop, and what the new release costs. What {@link hindcast} does not know it does not know either.
 *
 * @throws HoldoverError CONFIG_INVALID for a policy that means nothing
 */
export function planDeploy(question: DeployQuestion): DeployPlan {
  const { nowMs, policy, left, groups, linger, lengths, history } = question;
  checkWindowPolicy(policy);
  const { allowed } = deployQuestion(policy, left ?? 0);
  const within = left !== undefined && left <= allowed;
  const forecast = within ? { lowMs: 0, medianMs: 0, highMs: 0, known: true } : question.forecast;
  const retained = { cutoverMs: nowMs, liveAtCutover: left ?? null, left, groups, lengths, ...linger };
  const window = windowOf(policy, { ...retained, forecast, saidDeadlineMs: undefined }, nowMs);
  const endMs = windowEnd(policy, window, nowMs);
  const oldLives = left === undefined || !forecast ? undefined : withinWindow(forecast, policy.floor, endMs);
  const hours = hindcast({
    nowMs,
    ...history,
    disruptionBudget: policy.policy === "budget" ? policy.disruptionBudget : 0,
    lingerMs: linger.lingerMs ?? 0,
    ceilingMs: endMs,
  });
  return {
    left,
    allowed,
    window,
    oldLives,
    cutAtCeiling: left === undefined ? undefined : cutAt(left, groups, linger, endMs),
    overlap: {
      expected: oldLives && expectedOverlap(question, oldLives, allowed),
      most: endMs === Infinity ? null : (instancesOf(question) * endMs) / HOUR_MS,
    },
    hours,
    cheapest: cheapestOf(hours),
  };
}

/** The longest that the window may last, ms; infinite where nothing ends it. */
function windowEnd(policy: WindowPolicy, window: WindowVerdict, nowMs: number): number {
  const atMs = policy.policy === "quantile" ? window.deadlineMs : window.hardStopMs;
  return atMs === null ? Infinity : atMs - nowMs;
}

function withinWindow(forecast: RetirementForecast, floorMs: number, endMs: number): RetirementForecast {
  const bounded = (ms: number) => Math.min(endMs, Math.max(floorMs, ms));
  const { lowMs, medianMs, highMs, known } = forecast;
  return { lowMs: bounded(lowMs), medianMs: bounded(medianMs), highMs: bounded(highMs), known };
}

function cutAt(
  left: number,
  groups: readonly LiveGroup[] | undefined,
  linger: Linger,
  afterMs: number,
): number | undefined {
  if (afterMs === Infinity || left === 0) return 0;
  return groups && Math.min(left, expectedLeft(groups, afterMs, linger));
}

function cheapestOf(hours: readonly HourHindcast[]): HourHindcast | undefined {
  const known = hours.filter(({ retiredAfterMs }) => retiredAfterMs !== null);
  const least = Math.min(...known.map(({ retiredAfterMs }) => retiredAfterMs ?? Infinity));
  return known.find(({ retiredAfterMs }) => retiredAfterMs === least);
}

function instancesOf({ instances }: DeployQuestion): number {
  return instances > 0 ? Math.floor(instances) : 0;
}

function expectedOverlap(question: DeployQuestion, oldLives: RetirementForecast, allowed: number): Overlap["expected"] {
  const stretch = calibrationOf(question, allowed);
  const low = instanceHours(question, oldLives.lowMs, stretch.low);
  // Each end is stretched by itself, so that they could cross by a hair.
  const median = Math.max(low, instanceHours(question, oldLives.medianMs, stretch.median));
  return { low, median, high: Math.max(median, instanceHours(question, oldLives.highMs, stretch.high)) };
}

/** How far the forecast was corrected by past ones: instances empty so much later or sooner, too. */
function calibrationOf({ policy, left, groups, linger, forecast }: DeployQuestion, allowed: number): Stretch {
  if (!groups || !forecast) return { low: 1, median: 1, high: 1 };
  const { horizonMs } = deployQuestion(policy, left ?? 0);
  return stretchOf(forecastRetirement({ groups, allowed, horizonMs, ...linger }), forecast, linger.lingerMs);
}

const STEPS = 200;

/** The integral of the instances that still run over the life of the release, by the midpoint rule, finer where it begins. */
function instanceHours(question: DeployQuestion, lifeMs: number, stretch: number): number {
  const instances = instancesOf(question);
  let total = 0;
  for (let step = 0; step < STEPS; step++) {
    const fromMs = lifeMs * (step / STEPS) ** 3;
    const toMs = lifeMs * ((step + 1) / STEPS) ** 3;
    const running = holdingInstances(question, (fromMs + toMs) / 2, stretch);
    // The last one runs as long as the release lives.
    total += Math.min(instances, Math.max(1, running)) * (toMs - fromMs);
  }
  return total / HOUR_MS;
}

/** How many instances are expected to hold a session still, of those that hold one now. */
function holdingInstances(question: DeployQuestion, afterMs: number, stretch: number): number {
  const { left = 0, groups, linger } = question;
  const holding = Math.min(instancesOf(question), left);
  if (holding === 0 || !groups) return holding;
  const openMs = Math.max(0, afterMs - (linger.lingerMs ?? 0)) / stretch;
  let logEmpty = 0;
  for (const { live, lengths } of groups) {
    for (const [bin, count] of live.count.entries()) {
      if (count > 0)
        logEmpty += (count / holding) * Math.log1p(-residualSurvival(lengths, live.ageMs[bin] ?? 0, openMs));
    }
  }
  const lingering = expectedLeft([], afterMs, linger);
  return holding * (1 - Math.max(0, 1 - lingering / holding) * Math.exp(logEmpty));
}

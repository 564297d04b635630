import { formatDuration } from "./duration.ts";
import { HoldoverError } from "./errors.ts";
import { expectedLeft, type Linger, type LiveGroup, type RetirementForecast } from "./forecast.ts";
import type { SessionLengths } from "./session-lengths.ts";
import { lengthQuantile } from "./survival.ts";

/**
 * How long a retained release may still finish its sessions (DESIGN §7). Durations in ms, from the cutover; `floor` keeps it
 * warm for a rollback even when it is empty; past `ceiling` nothing is kept.
 */
export type WindowPolicy =
  | { readonly policy: "budget"; readonly disruptionBudget: number; readonly floor: number; readonly ceiling: number }
  | {
      readonly policy: "quantile";
      readonly quantile: number;
      readonly factor: number;
      readonly floor: number;
      readonly ceiling: number;
    }
  | { readonly policy: "fixed"; readonly window: number; readonly floor: number }
  | { readonly policy: "until-empty"; readonly floor: number };

/** Past it nothing is kept, unless the service sets another. */
export const DEFAULT_CEILING_MS = 24 * 3_600_000;

/** Nobody is cut before the ceiling of 24 h. */
export const DEFAULT_WINDOW: WindowPolicy = {
  policy: "budget",
  disruptionBudget: 0,
  floor: 0,
  ceiling: DEFAULT_CEILING_MS,
};

/** Which rule set the deadline. `empty`: none is needed, it retires with its last session. */
export type WindowRule = "budget" | "forecast" | "quantile" | "floor" | "ceiling" | "fixed" | "empty";

/** What is known of a retained release when its window is asked for. */
export interface RetainedSessions extends Linger {
  readonly cutoverMs: number;
  /** Null: nobody knows, so none may be cut before the ceiling. */
  readonly liveAtCutover: number | null;
  /** Sessions that hold it now, open or lingering; undefined: nobody could count them, which is not zero. */
  readonly left: number | undefined;
  /** The open ones by age, which may be some seconds old; undefined: their ages or their lengths are not known. */
  readonly groups: readonly LiveGroup[] | undefined;
  readonly lengths: SessionLengths;
  /** When it will have retired, from now; the calibrated one where there is one. */
  readonly forecast: RetirementForecast | undefined;
  /** The deadline that was said before; undefined: none. */
  readonly saidDeadlineMs: number | undefined;
}

/** A window, and why it is what it is. */
export interface WindowVerdict {
  /** `keep` it; `retire` it once it is empty; `expire` what is left on it now. */
  readonly verdict: "keep" | "retire" | "expire";
  /** Epoch time at which it ends, as far as is known now: set by `rule`; null: when the last session does. */
  readonly deadlineMs: number | null;
  /** Epoch time at which it ends whatever is live; null: never. */
  readonly hardStopMs: number | null;
  readonly floorUntilMs: number;
  readonly rule: WindowRule;
  /** Ended sessions that the deadline rests on; 0 where it rests on none. */
  readonly fromSessions: number;
  /** Sessions that the deadline will cut, as an expectation; undefined where it cannot be told. */
  readonly wouldCut: number | undefined;
  /** Set where the deadline differs from the one said before by more than a tenth of the window: an event. */
  readonly moved: { readonly fromMs: number; readonly toMs: number } | undefined;
  readonly why: string;
}

const EVENT_SHARE = 0.1;

/**
 * Refuses a policy that means nothing.
 * @throws HoldoverError CONFIG_INVALID with the numbers
 */
export function checkWindowPolicy(policy: WindowPolicy): void {
  const refuse = (problem: string, remedy: string) => {
    throw new HoldoverError("CONFIG_INVALID", { where: "retention", problem, remedy });
  };
  const isSpan = (value: number) => Number.isFinite(value) && value >= 0;
  if (!isSpan(policy.floor)) refuse(`a floor of ${policy.floor} ms is no time`, "Write 0 or a duration.");
  if (policy.policy === "fixed" && !isSpan(policy.window)) {
    refuse(`a window of ${policy.window} ms is no time`, "Write a duration, for example 1h.");
  }
  if (policy.policy === "budget" && !(policy.disruptionBudget >= 0 && policy.disruptionBudget <= 1)) {
    refuse(`a disruption budget of ${policy.disruptionBudget} is no share`, "Write 0 to 1, for example 0.05.");
  }
  if (policy.policy === "quantile" && !(policy.quantile > 0 && policy.quantile < 1 && policy.factor > 0)) {
    refuse(
      `quantile ${policy.quantile} times ${policy.factor} is no window`,
      "Write a quantile between 0 and 1 (0.95) and a factor above 0.",
    );
  }
  if (!("ceiling" in policy)) return;
  if (!(isSpan(policy.ceiling) && policy.ceiling > 0)) {
    refuse(`a ceiling of ${policy.ceiling} ms keeps nothing`, "Write a duration above 0, for example 24h.");
  }
  if (policy.floor > policy.ceiling) {
    const spans = `the floor of ${formatDuration(policy.floor)} is above the ceiling of ${formatDuration(policy.ceiling)}`;
    refuse(spans, "Raise the ceiling or lower the floor.");
  }
}

/** How many sessions may be cut: the budget's share of those live at the cutover, rounded down; none where nobody knows. */
export function allowedCuts(disruptionBudget: number, liveAtCutover: number | null): number {
  if (liveAtCutover === null) return 0;
  // 0.07 * 100 is a little more than 7 and 0.29 * 100 a little less than 29: neither may cost or give a session.
  return Math.floor(disruptionBudget * liveAtCutover + 1e-9);
}

/** The length of a quantile window, ms: the ceiling where the lengths cannot tell. */
export function quantileWindow(
  policy: Extract<WindowPolicy, { policy: "quantile" }>,
  lengths: SessionLengths,
): { readonly windowMs: number; readonly rule: WindowRule; readonly lengthMs: number | undefined } {
  const lengthMs = lengths.kind === "estimated" ? lengthQuantile(lengths.lengths, policy.quantile) : undefined;
  if (lengthMs === undefined) return { windowMs: policy.ceiling, rule: "ceiling", lengthMs };
  const wished = Math.round(lengthMs * policy.factor);
  if (wished >= policy.ceiling) return { windowMs: policy.ceiling, rule: "ceiling", lengthMs };
  if (wished < policy.floor) return { windowMs: policy.floor, rule: "floor", lengthMs };
  return { windowMs: wished, rule: "quantile", lengthMs };
}

interface Deadline {
  readonly atMs: number | null;
  readonly rule: WindowRule;
  readonly fromSessions: number;
  readonly why: string;
}

/**
 * The window of a retained release, as of now. Asked again and again while it is retained: the deadline follows what is
 * learned, and never passes the ceiling. A clock that stepped back before the cutover counts as standing at it.
 */
export function windowOf(policy: WindowPolicy, release: RetainedSessions, clockMs: number): WindowVerdict {
  const nowMs = Math.max(clockMs, release.cutoverMs);
  const floorUntilMs = release.cutoverMs + policy.floor;
  const hardStopMs = hardStopOf(policy, release.cutoverMs);
  const deadline = deadlineOf(policy, release, nowMs);
  const over = deadline.atMs !== null && nowMs >= deadline.atMs;
  const warm = nowMs < floorUntilMs;
  return {
    verdict: over ? "expire" : warm ? "keep" : "retire",
    deadlineMs: deadline.atMs,
    hardStopMs,
    floorUntilMs,
    rule: deadline.rule,
    fromSessions: deadline.fromSessions,
    wouldCut: cutAt(policy, release, deadline, nowMs),
    moved: movedFrom(release, deadline.atMs),
    why: warm && !over ? `${deadline.why}; kept warm for a rollback for ${formatDuration(policy.floor)}` : deadline.why,
  };
}

function hardStopOf(policy: WindowPolicy, cutoverMs: number): number | null {
  switch (policy.policy) {
    case "budget":
    case "quantile":
      return cutoverMs + policy.ceiling;
    case "fixed":
      return cutoverMs + Math.max(policy.window, policy.floor);
    case "until-empty":
      return null;
  }
}

function deadlineOf(policy: WindowPolicy, release: RetainedSessions, nowMs: number): Deadline {
  switch (policy.policy) {
    case "budget":
      return budgetDeadline(policy, release, nowMs);
    case "quantile": {
      const { windowMs, rule, lengthMs } = quantileWindow(policy, release.lengths);
      const atMs = release.cutoverMs + windowMs;
      const { lengths } = release;
      if (lengths.kind === "unknown") {
        return {
          atMs,
          rule,
          fromSessions: 0,
          why: `${lengths.why}, so it is kept to the ceiling of ${formatDuration(windowMs)}`,
        };
      }
      const percentile = `P${Number((policy.quantile * 100).toFixed(2))}`;
      const found = lengthMs === undefined ? "unknown" : formatDuration(lengthMs);
      const limit = rule === "quantile" ? "" : ` and the ${rule}`;
      const why = `${percentile} of ${lengths.why} is ${found}, times ${policy.factor}${limit}: ${formatDuration(windowMs)}`;
      return { atMs, rule, fromSessions: lengths.lengths.ends, why };
    }
    case "fixed": {
      const windowMs = Math.max(policy.window, policy.floor);
      const why = `fixed window of ${formatDuration(windowMs)}`;
      return { atMs: release.cutoverMs + windowMs, rule: "fixed", fromSessions: 0, why };
    }
    case "until-empty":
      return { atMs: null, rule: "empty", fromSessions: 0, why: "until empty: no session is ended by its age" };
  }
}

function budgetDeadline(
  policy: Extract<WindowPolicy, { policy: "budget" }>,
  release: RetainedSessions,
  nowMs: number,
): Deadline {
  const ceilingMs = release.cutoverMs + policy.ceiling;
  const allowed = allowedCuts(policy.disruptionBudget, release.liveAtCutover);
  const ends = release.lengths.kind === "estimated" ? release.lengths.lengths.ends : 0;
  const atCeiling = (why: string): Deadline => ({ atMs: ceilingMs, rule: "ceiling", fromSessions: ends, why });
  const { left, liveAtCutover } = release;
  if (left === undefined) {
    return atCeiling(
      `its sessions cannot be counted, so it is kept to the ceiling of ${formatDuration(policy.ceiling)}`,
    );
  }
  const counts =
    liveAtCutover === null
      ? `${left} left; how many were live at the cutover is not known, so none may be cut`
      : `${left} of the ${liveAtCutover} sessions live at the cutover are left, ${allowed} may be cut`;
  if (nowMs >= ceilingMs) return atCeiling(`the ceiling of ${formatDuration(policy.ceiling)} is reached: ${counts}`);
  if (left === 0) return { atMs: null, rule: "empty", fromSessions: 0, why: "no session is left" };
  if (left <= allowed) {
    const floorMs = release.cutoverMs + policy.floor;
    return { atMs: Math.max(nowMs, floorMs), rule: floorMs > nowMs ? "floor" : "budget", fromSessions: 0, why: counts };
  }
  const { forecast } = release;
  if (forecast === undefined) {
    const unknown = release.lengths.kind === "unknown" ? `; ${release.lengths.why}` : "";
    return atCeiling(`${counts}; at the latest at the ceiling of ${formatDuration(policy.ceiling)}${unknown}`);
  }
  const span = `${formatDuration(forecast.lowMs)} to ${formatDuration(forecast.highMs)}`;
  const expectedMs = Math.round(nowMs + Math.max(1, forecast.medianMs));
  if (expectedMs >= ceilingMs) {
    return atCeiling(`${counts}; that would take longer than the ceiling of ${formatDuration(policy.ceiling)}`);
  }
  const why = `${counts}; expected in ${formatDuration(forecast.medianMs)} (80%: ${span}), from ${ends} ended sessions`;
  return { atMs: Math.max(expectedMs, release.cutoverMs + policy.floor), rule: "forecast", fromSessions: ends, why };
}

function cutAt(policy: WindowPolicy, release: RetainedSessions, deadline: Deadline, nowMs: number): number | undefined {
  const { left, groups } = release;
  if (deadline.atMs === null) return 0;
  if (left === undefined) return undefined;
  const afterMs = deadline.atMs - nowMs;
  if (afterMs <= 0) return left;
  if (policy.policy === "budget" && deadline.rule !== "ceiling") {
    const byBudget = Math.min(left, allowedCuts(policy.disruptionBudget, release.liveAtCutover));
    const atCeiling = groups ? expectedLeft(groups, release.cutoverMs + policy.ceiling - nowMs, release) : 0;
    // More than the budget, where the ceiling may come first.
    return Math.max(byBudget, Math.min(left, atCeiling));
  }
  // The count is fresh and the ages may not be: no more are cut than are left.
  return groups && Math.min(left, expectedLeft(groups, afterMs, release));
}

function movedFrom(release: RetainedSessions, toMs: number | null): WindowVerdict["moved"] {
  const fromMs = release.saidDeadlineMs;
  if (fromMs === undefined || toMs === null) return undefined;
  const window = Math.max(1, fromMs - release.cutoverMs);
  return Math.abs(toMs - fromMs) > EVENT_SHARE * window ? { fromMs, toMs } : undefined;
}

import type { Linger, LiveGroup, RetirementForecast, Stretch } from "./forecast.ts";
import type { ReleaseRecord } from "./release.ts";
import type { RetentionPolicy } from "./service.ts";
import type { SessionLengths } from "./session-lengths.ts";
import { windowOf, type WindowVerdict } from "./windows.ts";

/** What is estimated of a release's sessions. It is made every few seconds, so it is a little old when it is used. */
export interface Outlook {
  readonly atMs: number;
  readonly lengths: SessionLengths;
  /** The linger of its sessions, and what is left of it for those that linger. */
  readonly linger: Linger;
  /** The ages of those that are open, with the lengths of their kind; undefined where the lengths are unknown. */
  readonly groups: readonly LiveGroup[] | undefined;
  /** When it will have retired, from `atMs`; undefined where the lengths are unknown. */
  readonly forecast: RetirementForecast | undefined;
  /** Past forecasts whose outcome corrects it. */
  readonly trials: number;
  /** How far they move it, as factors of time. */
  readonly stretch: Stretch;
}

const NOT_YET: SessionLengths = { kind: "unknown", ends: 0, why: "session lengths were not estimated yet" };

/**
 * The window of a release that is retained, as of now. The policy is the one in force for the service, so that a changed
 * one counts for what is retained already.
 *
 * @param left sessions that it holds now, open or lingering; undefined: nobody could count them, which is not zero
 * @throws Error for a release that is not retained
 */
export function retainedWindow(
  release: ReleaseRecord,
  policy: RetentionPolicy,
  left: number | undefined,
  outlook: Outlook | undefined,
  nowMs: number,
): WindowVerdict {
  const { state } = release;
  if (state.name !== "retained") throw new Error(`release ${release.id} is ${state.name}, not retained`);
  const said = state.deadlineMs ?? undefined;
  return windowOf(
    policy,
    {
      cutoverMs: state.sinceMs,
      liveAtCutover: state.live,
      left,
      groups: outlook?.groups,
      ...outlook?.linger,
      lengths: outlook?.lengths ?? NOT_YET,
      forecast: outlook?.forecast && sinceThen(outlook.forecast, nowMs - outlook.atMs),
      saidDeadlineMs: said,
    },
    nowMs,
  );
}

/** A forecast as it stands a while after it was made. */
function sinceThen(forecast: RetirementForecast, passedMs: number): RetirementForecast {
  const later = (ms: number) => Math.max(0, ms - Math.max(0, passedMs));
  return {
    ...forecast,
    lowMs: later(forecast.lowMs),
    medianMs: later(forecast.medianMs),
    highMs: later(forecast.highMs),
  };
}

/** The releases that are retained beyond the most that the policy allows: the oldest. */
export function beyondMost(releases: readonly ReleaseRecord[], policy: RetentionPolicy): readonly ReleaseRecord[] {
  const retained = releases.filter(({ state }) => state.name === "retained");
  const most = policy.maxRetained ?? retained.length;
  return retained.toSorted((a, b) => a.currentAtMs - b.currentAtMs).slice(0, Math.max(0, retained.length - most));
}

import { formatDuration } from "@holdover/core";
import type { ReleaseView, RetirementView } from "../api-client.ts";
import { estimates, moment } from "./moment.ts";
import { expectedSessions } from "./session-count.ts";

type RetentionView = NonNullable<ReleaseView["retention"]>;

/** A deadline that is nearer is said to come at any moment: an estimate is not that exact. */
const AT_ONCE_MS = 1000;

/** "about 14:32 (80%: 14:20 to 15:05)". */
export function retirementText({ lowMs, medianMs, highMs, known }: RetirementView, nowMs: number): string {
  const [low, median, high] = estimates([lowMs, medianMs, highMs], nowMs);
  return `about ${median} (${intervalText(low, high, known)})`;
}

/** "80%: 14:20 to 15:05". @param known whether the late end rests on what was seen */
export function intervalText(low: string, high: string, known: boolean): string {
  return `80%: ${low} to ${high}${known ? "" : " or later"}`;
}

/** "kept until 14:32:10 (in 7m 20s)". */
export function keptText({ deadlineMs }: RetentionView, nowMs: number): string {
  if (deadlineMs === null) return "kept with no deadline";
  const leftMs = deadlineMs - nowMs;
  if (leftMs <= 0) return `kept until ${moment(deadlineMs, nowMs)} (over)`;
  const left = leftMs < AT_ONCE_MS ? "at any moment" : `in ${formatDuration(leftMs)}`;
  return `kept until ${moment(deadlineMs, nowMs)} (${left})`;
}

/** What the window does besides: a hard stop that is later than the deadline, and whom the deadline cuts. */
export function windowFacts({ rule, deadlineMs, hardStopMs, wouldCut }: RetentionView, nowMs: number): string[] {
  const facts: string[] = [];
  if (hardStopMs !== null && hardStopMs !== deadlineMs) facts.push(`hard stop ${moment(hardStopMs, nowMs)}`);
  // Without a deadline nobody is cut, and in the grace all that is left is.
  if (deadlineMs === null || rule === "grace") return facts;
  return [...facts, wouldCut === null ? "whom it would cut is not known" : `would cut ${expectedSessions(wouldCut)}`];
}

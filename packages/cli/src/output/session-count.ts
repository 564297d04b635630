import type { SessionCount } from "@holdover/core";

/** Live sessions, open and lingering; `?` where they are not known. */
export function liveText(count: SessionCount | null): string {
  return count ? String(count.open + count.lingering) : "?";
}

/** "2 open, 1 of them wedged, 1 lingering, 3 connections"; with `?` for each that is not known. */
export function countText(count: SessionCount | null): string {
  const connections = count?.connections ?? "?";
  const wedged = count && count.wedged > 0 ? `, ${count.wedged} of them wedged` : "";
  return `${count?.open ?? "?"} open${wedged}, ${count?.lingering ?? "?"} lingering, ${connections} ${connections === 1 ? "connection" : "connections"}`;
}

/** "3 sessions", "1 session", "no session". */
export function sessionsText(sessions: number): string {
  return sessions === 0 ? "no session" : `${sessions} ${sessions === 1 ? "session" : "sessions"}`;
}

/** An expected number: "about 2.4 sessions", "about 31 sessions", "2 sessions", "fewer than 0.1 sessions". */
export function expectedSessions(expected: number): string {
  if (expected > 0 && expected < 0.1) return "fewer than 0.1 sessions";
  const shown = expected < 10 ? Math.round(expected * 10) / 10 : Math.round(expected);
  return `${Number.isInteger(expected) ? "" : "about "}${sessionsText(shown)}`;
}

/** "3 live sessions", "1 live session", "? live sessions". */
export function liveSessions(count: SessionCount | null): string {
  const live = liveText(count);
  return `${live} live ${live === "1" ? "session" : "sessions"}`;
}

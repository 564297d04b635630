import type { SessionCount } from "@holdover/core";

/** Live sessions, open and lingering; `?` where they are not known. */
export function liveText(count: SessionCount | null): string {
  return count ? String(count.open + count.lingering) : "?";
}

/** "2 open, 1 lingering, 3 connections"; with `?` for each that is not known. */
export function countText(count: SessionCount | null): string {
  const connections = count?.connections ?? "?";
  return `${count?.open ?? "?"} open, ${count?.lingering ?? "?"} lingering, ${connections} ${connections === 1 ? "connection" : "connections"}`;
}

/** "3 live sessions", "1 live session", "? live sessions". */
export function liveSessions(count: SessionCount | null): string {
  const live = liveText(count);
  return `${live} live ${live === "1" ? "session" : "sessions"}`;
}

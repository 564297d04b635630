import { formatDuration } from "@holdover/core";

/** How long ago, or how long until: "3m 12s". A clock that was set back shows as nothing gone. */
export function age(ms: number): string {
  return formatDuration(Math.max(0, ms));
}

/** A time of day where the moment is less than a day away, else with its date; local time. */
export function moment(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (Math.abs(atMs - nowMs) < 86_400_000) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

import { formatDuration } from "@holdover/core";

/** How long ago, or how long until: "3m 12s". A clock that was set back shows as nothing gone. */
export function age(ms: number): string {
  return formatDuration(Math.max(0, ms));
}

/** A time of day where the moment is on the same day, else with its date; local time. */
export function moment(atMs: number, nowMs: number): string {
  const at = localText(atMs);
  const date = "YYYY-MM-DD".length;
  return at.slice(0, date) === localText(nowMs).slice(0, date) ? at.slice(date + 1) : at;
}

/** As {@link moment}, for moments that are only estimated: to the second where the last is minutes away, else to the minute. */
export function estimates<Moments extends readonly number[]>(
  atMs: readonly [...Moments],
  nowMs: number,
): { [Index in keyof Moments]: string } {
  const precise = Math.max(...atMs) - nowMs < SECONDS_WITHIN_MS;
  const texts = atMs.map((at) => (precise ? moment(at, nowMs) : moment(at, nowMs).slice(0, -":SS".length)));
  return texts as { [Index in keyof Moments]: string };
}

/** What the clock on the wall shows at a moment, as if that were UTC, in ms. */
export function toLocal(atMs: number): number {
  return atMs - new Date(atMs).getTimezoneOffset() * 60_000;
}

/** "14:00": the time of day, local. */
export function timeOfDay(atMs: number): string {
  return localText(atMs).slice("YYYY-MM-DD ".length, -":SS".length);
}

const SECONDS_WITHIN_MS = 10 * 60_000;

function localText(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

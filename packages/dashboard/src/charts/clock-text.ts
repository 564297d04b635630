/** Moments in the few letters that there is room for on axes and at marks: local time, 24 hours. */

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** So near, a weekday means one day. */
const NEAR_MS = 6 * 86_400_000;
const two = (value: number) => String(value).padStart(2, "0");

/** `14:02`; with seconds `14:02:11`. */
export function clockText(atMs: number, seconds = false): string {
  const at = new Date(atMs);
  const text = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return seconds ? `${text}:${two(at.getSeconds())}` : text;
}

/** `Wed 25`, as it stands at midnight on an axis. */
export function dayText(atMs: number): string {
  const at = new Date(atMs);
  return `${WEEKDAYS[at.getDay()]} ${at.getDate()}`;
}

/** A moment as seen from another one: `14:02`, or `Thu 14:02`, or further away `3 Dec 14:02`. */
export function momentText(atMs: number, nowMs: number, seconds = false): string {
  const at = new Date(atMs);
  const clock = clockText(atMs, seconds);
  if (at.toDateString() === new Date(nowMs).toDateString()) return clock;
  const day = Math.abs(atMs - nowMs) < NEAR_MS ? WEEKDAYS[at.getDay()] : `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  return `${day} ${clock}`;
}

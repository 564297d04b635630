/** Moments and spans in words, as they stand on axes and in descriptions: local time, 24 hours. */

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

/** `45s`, `12m`, `2h 10m`, `3d 4h`: two units at most, and none that says nothing. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 600 && seconds % 60 !== 0) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  if (minutes < 60) return `${minutes}m`;
  if (minutes < 24 * 60) return units(Math.floor(minutes / 60), "h", minutes % 60, "m");
  const hours = Math.round(minutes / 60);
  return units(Math.floor(hours / 24), "d", hours % 24, "h");
}

function units(many: number, unit: string, rest: number, smaller: string): string {
  return rest === 0 ? `${many}${unit}` : `${many}${unit} ${rest}${smaller}`;
}

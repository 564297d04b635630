const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** A duration for a person: the two largest units that matter, `1h 5m`, `42s`; below a second `0s`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "for ever";
  const rounded = Math.max(0, Math.floor(ms / 1000)) * 1000;
  const at = UNITS.findIndex(([, unit]) => rounded >= unit);
  const [name, unit] = UNITS[at] ?? (["s", 1000] as const);
  const count = Math.floor(rounded / unit);
  const next = UNITS[at + 1];
  const left = next ? Math.floor((rounded - count * unit) / next[1]) : 0;
  return next && left > 0 ? `${number(count)}${name} ${left}${next[0]}` : `${number(count)}${name}`;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A count: `12,345`; from ten million on `12.3M`. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "∞";
  return Math.abs(value) >= 1e7 ? COMPACT.format(value) : WHOLE.format(value);
}

/** Characters of an id that a sentence has room for. */
const ID_CHARS = 40;
const CHARS = new Intl.Segmenter("en");

/** An id in a sentence: of a long one both ends, as versions differ in the last part. */
export function named(id: string): string {
  const chars = Array.from(CHARS.segment(id), ({ segment }) => segment);
  return chars.length <= ID_CHARS ? id : `${chars.slice(0, 22).join("")}…${chars.slice(-12).join("")}`;
}

/** An expectation, which need not be whole: `0.4`, `12`. */
export function expected(value: number): string {
  return value < 10 ? FINE.format(value) : number(value);
}

/** A count of things: `1 session`, `2 sessions`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** How long ago or ahead: `4m ago`, `in 4m`, `now`. */
export function distance(atMs: number, nowMs: number): string {
  const ms = atMs - nowMs;
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `${duration(-ms)} ago` : `in ${duration(ms)}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** The time of day, with the day where it is not the day of `nowMs`: `14:20`, `Thu 3 Dec, 14:20`. */
export function moment(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  if (Number.isNaN(at.getTime())) return "at no time";
  const sameDay = at.toDateString() === new Date(nowMs).toDateString();
  return sameDay ? TIME.format(at) : `${DAY.format(at)}, ${TIME.format(at)}`;
}

export function clockTime(atMs: number): string {
  const at = new Date(atMs);
  return Number.isNaN(at.getTime()) ? "–" : SECONDS.format(at);
}

export function fullTime(atMs: number): string {
  const at = new Date(atMs);
  return Number.isNaN(at.getTime()) ? "at no time" : FULL.format(at);
}

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size on disk: `12 MiB`. */
export function bytes(size: number): string {
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < BYTES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${expected(value)} ${BYTES[unit] ?? ""}`;
}

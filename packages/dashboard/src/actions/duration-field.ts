const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WEEK_MS = 7 * 86_400_000;

/** A duration as people write it, in ms: `90s`, `10m`, `1.5h`, a week at the most; null: it is none. */
export function readDuration(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|h|d)$/.exec(text.trim());
  const unit = UNITS[match?.[2] ?? ""];
  if (!match || unit === undefined) return null;
  const ms = Math.round(Number(match[1]) * unit);
  return ms <= WEEK_MS ? ms : null;
}

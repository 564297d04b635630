/** Putting so many numbers into words takes longer than all else of a layout: what was said once is kept. */
const TENTHS: string[] = [];
const MOST_TENTHS = 40_000;

/** A number of pixels, to a tenth. */
export function tenths(px: number): string {
  const number = Math.round(px * 10);
  if (number < 0 || number >= MOST_TENTHS) return String(number / 10);
  return (TENTHS[number] ??= String(number / 10));
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/**
 * A bar for a share of the longest one.
 * @param share 0 to 1
 * @param columns of the longest
 */
export function bar(share: number, columns: number, unicode: boolean): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * columns * 8);
  if (!unicode) return "#".repeat(Math.round(eighths / 8));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
}

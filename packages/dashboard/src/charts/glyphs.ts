import type { EventKind } from "./lane-story.ts";

/** The shapes of what happens, as SVG paths around 0 0: told apart without colour. */
export const GLYPHS: Record<EventKind, string> = {
  cutover: "M0-5.5A5.5 5.5 0 1 1 0 5.5A5.5 5.5 0 1 1 0-5.5Z",
  rollback: "M5-6.5V6.5L-6.5 0Z",
  ramping: "M0-6.5L6.5 0L0 6.5L-6.5 0Z",
  starting: "M0-3A3 3 0 1 1 0 3A3 3 0 1 1 0-3Z",
  expiring: "M-4.5-6H4.5L-4.5 6H4.5Z",
  retired: "M-1.5-7H1.5V7H-1.5Z",
  failed: "M-4.5-4.5L4.5 4.5M4.5-4.5L-4.5 4.5",
};

/** A flag on a pole. */
export function deadlinePath(x: number, reach: number): string {
  const flag = Math.min(9, reach);
  return `M${x} ${reach}V${-reach}L${x + flag} ${flag / 2 - reach}L${x} ${flag - reach}`;
}

/** Two bars. */
export function hardStopPath(x: number, reach: number): string {
  return `M${x} ${-reach}V${reach}M${x + 4} ${-reach}V${reach}`;
}

import { duration } from "../words/figures.ts";

/**
 * Time ahead of now, on less room than it needs: it begins at the pace of the past, so that the picture has no seam at
 * now, and is pressed together the more the further ahead it is (by a logarithm). So the next minutes and a hard stop a
 * day ahead are in one picture. Where all of it fits at the pace of the past, it goes on at that.
 */
export interface AheadAxis {
  /** What the whole width stands for. */
  readonly spanMs: number;
  /** px right of now. */
  readonly pxOf: (afterMs: number) => number;
  /** What lies so many px right of now; the other way round. */
  readonly msAt: (px: number) => number;
  readonly ticks: readonly AheadTick[];
}

interface AheadTick {
  readonly px: number;
  readonly label: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TICKS_MS = [
  ...[1, 5, 15].map((many) => many * MINUTE_MS),
  ...[1, 3, 6, 12].map((many) => many * HOUR_MS),
  ...[1, 2, 4, 7, 14, 30, 90, 365].map((many) => many * DAY_MS),
];
const TICK_PX = 44;
const LAST_PX = 16;
const MOST_MS = 400 * DAY_MS;
/** The last thing ahead is not at the very edge. */
const BEYOND = 1.25;

/** @param needMs how far ahead the last thing lies that is to be seen */
export function aheadAxis(widthPx: number, pxPerMs: number, needMs: number): AheadAxis {
  const sameMs = widthPx / pxPerMs;
  const spanMs = Math.min(MOST_MS, BEYOND * needMs);
  if (spanMs <= sameMs) {
    const pxOf = (afterMs: number) => afterMs * pxPerMs;
    return { spanMs: sameMs, pxOf, msAt: (px) => px / pxPerMs, ticks: ticksOf(sameMs, widthPx, pxOf) };
  }
  const bendMs = bendOf(spanMs, sameMs);
  const whole = Math.log1p(spanMs / bendMs);
  const pxOf = (afterMs: number) =>
    afterMs <= 0 ? afterMs * pxPerMs : (widthPx * Math.log1p(afterMs / bendMs)) / whole;
  return {
    spanMs,
    pxOf,
    msAt: (px) => (px <= 0 ? px / pxPerMs : bendMs * Math.expm1((px * whole) / widthPx)),
    ticks: ticksOf(spanMs, widthPx, pxOf),
  };
}

/** Where the logarithm has to bend for the axis to begin at the pace at which `sameMs` would fill it. */
function bendOf(spanMs: number, sameMs: number): number {
  let [low, high] = [0, spanMs];
  for (let tries = 0; tries < 60; tries++) {
    const middle = (low + high) / 2;
    if (middle * Math.log1p(spanMs / middle) < sameMs) low = middle;
    else high = middle;
  }
  return high;
}

function ticksOf(spanMs: number, widthPx: number, pxOf: (afterMs: number) => number): AheadTick[] {
  const ticks: AheadTick[] = [];
  for (const afterMs of TICKS_MS) {
    const px = pxOf(afterMs);
    if (afterMs > spanMs || px > widthPx - LAST_PX) break;
    if (px - (ticks.at(-1)?.px ?? 0) >= TICK_PX) ticks.push({ px, label: `+${duration(afterMs)}` });
  }
  return ticks;
}

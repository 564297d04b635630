import { tenths } from "./px-text.ts";

/** Where a chart of lines puts its values, px; room for the labels of its axes is left beside them. */
export interface ChartFrame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly xOf: (value: number) => number;
  readonly yOf: (value: number) => number;
}

type Range = readonly [from: number, to: number];

const LEFT_PX = 40;
const TOP_PX = 8;
const BOTTOM_PX = 22;

/** @param endPx room at the right end */
export function chartFrame(width: number, height: number, endPx: number, x: Range, y: Range): ChartFrame {
  const [left, right, top, bottom] = [LEFT_PX, Math.max(LEFT_PX + 1, width - endPx), TOP_PX, height - BOTTOM_PX];
  const along = ([from, to]: Range, value: number) => (to === from ? 0.5 : (value - from) / (to - from));
  return {
    width,
    height,
    left,
    right,
    top,
    bottom,
    xOf: (value) => left + (right - left) * along(x, value),
    yOf: (value) => bottom - (bottom - top) * along(y, value),
  };
}

/** A line through the values as an SVG path, with a gap where one is not known; a value between two gaps is a dot. */
export function linePath({ xOf, yOf }: ChartFrame, x: readonly number[], y: readonly (number | null)[]): string {
  let path = "";
  let drawn = false;
  for (const [index, value] of y.entries()) {
    if (value !== null) {
      const place = `${tenths(xOf(x[index]!))} ${tenths(yOf(value))}`;
      path += drawn ? `L${place}` : `M${place}h0`;
    }
    drawn = value !== null;
  }
  return path;
}

/** Moves labels apart that would touch, as little as that takes, keeping their order. */
export function apart(places: readonly number[], least: number): number[] {
  const order = places.map((_, index) => index).toSorted((a, b) => places[a]! - places[b]!);
  const moved = [...places];
  for (const [at, index] of order.entries()) {
    const before = order[at - 1];
    if (before !== undefined) moved[index] = Math.max(moved[index]!, moved[before]! + least);
  }
  return moved;
}

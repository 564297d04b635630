import type { Paint } from "./paint.ts";

/** How many there are at a moment: the median, and the ends of the interval around it. */
export interface CurvePoint {
  /** Epoch time in ms. */
  readonly atMs: number;
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface CurveOptions {
  /** Columns to keep within; under 20 it is drawn as for 20. */
  readonly width: number;
  /** Rows between the legend and the axis of time, 2 or more; 12 unless set. */
  readonly rows?: number;
  /** Whether braille dots, shades and box lines can be shown; else plain ASCII. */
  readonly unicode: boolean;
  /** Epoch time to what the clock on the wall shows then, as if that were UTC, in ms. */
  readonly toLocal: (atMs: number) => number;
  readonly paint: Paint;
}

const LEAST_WIDTH = 20;
/** The last moment that has a date: https://tc39.es/ecma262/#sec-time-values-and-time-range */
const MOST_MS = 8.64e15;
const ROWS = 12;

interface Ink {
  readonly median: string;
  readonly band: string;
  readonly side: string;
  readonly tick: string;
  readonly corner: string;
  readonly floor: string;
  readonly floorTick: string;
  /** Dots of the median's line in one character. */
  readonly dots: { readonly across: number; readonly down: number };
}

const UNICODE: Ink = {
  median: "⠒",
  band: "░",
  side: "│",
  tick: "┤",
  corner: "└",
  floor: "─",
  floorTick: "┬",
  dots: { across: 2, down: 4 },
};
const ASCII: Ink = {
  median: "*",
  band: ":",
  side: "|",
  tick: "+",
  corner: "+",
  floor: "-",
  floorTick: "+",
  dots: { across: 1, down: 1 },
};

/**
 * Draws counts over time: the median as a line, its interval as a shade, with axes. Time runs from the first point, which
 * is now, to the last. What is no number counts as zero, and a point without a time is left out; no point, no line.
 */
export function curve(points: readonly CurvePoint[], options: CurveOptions): string[] {
  const known = points.filter(({ atMs }) => Math.abs(atMs) <= MOST_MS).toSorted((a, b) => a.atMs - b.atMs);
  const [first] = known;
  const last = known.at(-1);
  if (!first || !last) return [];
  const { unicode, paint, toLocal } = options;
  const ink = unicode ? UNICODE : ASCII;
  const rows = Math.max(2, options.rows ?? ROWS);
  const top = Math.max(
    1,
    Math.ceil(Math.max(...known.map(({ high, median }) => Math.max(count(high), count(median))))),
  );
  const labels = countLabels(top, rows, ink);
  const gutter = Math.max(...[...labels.values()].map((label) => label.length));
  const columns = Math.max(LEAST_WIDTH, options.width) - gutter - 2;
  const spanMs = last.atMs - first.atMs;
  const at = (share: number) => (spanMs === 0 && share > 0 ? undefined : valueAt(known, first.atMs + share * spanMs));
  const plot = overlaid(medianOf(at, top, rows, columns, ink), bandOf(at, top, rows, columns, ink), ink, paint);
  const ticks = timeTicks(first.atMs, spanMs, columns, toLocal);
  return [
    legend(gutter + 2 + columns, ink, paint),
    ...plot.map((row, index) => {
      const label = labels.get(index);
      return `${(label ?? "").padStart(gutter)} ${label === undefined ? ink.side : ink.tick}${row}`.trimEnd();
    }),
    `${" ".repeat(gutter + 1)}${ink.corner}${floorLine(ticks, columns, ink)}`,
    `${" ".repeat(gutter + 2)}${tickLine(ticks, columns)}`,
  ];
}

function count(value: number): number {
  return value > 0 && value < Infinity ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0;
}

function legend(width: number, { median, band }: Ink, paint: Paint): string {
  const title = "sessions left";
  const whole = `${title}   ${median.repeat(2)} median   ${band.repeat(2)} 80%`;
  if (whole.length > width) return title;
  return `${title}   ${paint("cyan", median.repeat(2))} median   ${paint("dim", band.repeat(2))} 80%`;
}

/** Between two points on the straight line. */
function valueAt(points: readonly CurvePoint[], atMs: number): CurvePoint | undefined {
  const next = points.findIndex((point) => point.atMs >= atMs);
  const after = points[next] ?? points.at(-1);
  const before = points[next - 1] ?? after;
  if (!after || !before) return undefined;
  const share = after.atMs > before.atMs ? (atMs - before.atMs) / (after.atMs - before.atMs) : 1;
  const mixed = (from: number, to: number) => count(from) + (count(to) - count(from)) * Math.max(0, Math.min(1, share));
  return {
    atMs,
    low: mixed(before.low, after.low),
    median: mixed(before.median, after.median),
    high: mixed(before.high, after.high),
  };
}

type ValueAt = (share: number) => CurvePoint | undefined;

/** Whether the character of a row and column is in the shade: the value at its middle is within the interval. */
function bandOf(at: ValueAt, top: number, rows: number, columns: number, { dots }: Ink): boolean[][] {
  const lowest = rows * dots.down - 1;
  const values = Array.from({ length: columns }, (_, column) => at(column / (columns - 1)));
  return Array.from({ length: rows }, (_, row) => {
    const middle = top * (1 - (row * dots.down + (dots.down - 1) / 2) / lowest);
    return values.map((value) => value !== undefined && value.low < middle && middle < value.high);
  });
}

/** Braille dots by column and row: https://www.unicode.org/charts/PDF/U2800.pdf */
const BRAILLE = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** The characters of the median's line; undefined where it does not pass. */
function medianOf(
  at: ValueAt,
  top: number,
  rows: number,
  columns: number,
  { dots, median }: Ink,
): (string | undefined)[][] {
  const marks = Array.from({ length: rows }, () => Array<number>(columns).fill(0));
  const lowest = rows * dots.down - 1;
  const across = columns * dots.across;
  let before: number | undefined;
  for (let x = 0; x < across; x++) {
    const value = at(x / (across - 1));
    if (!value) continue;
    const y = Math.round((1 - value.median / top) * lowest);
    // From the row after the one before, so that a steep fall has no gap.
    const from = before === undefined || before === y ? y : before + Math.sign(y - before);
    for (let dot = Math.min(from, y); dot <= Math.max(from, y); dot++) {
      const row = marks[Math.floor(dot / dots.down)];
      const column = Math.floor(x / dots.across);
      if (row) row[column] = (row[column] ?? 0) | (BRAILLE[x % dots.across === 1 ? 1 : 0][dot % dots.down] ?? 0);
    }
    before = y;
  }
  return marks.map((row) =>
    row.map((bits) => (bits === 0 ? undefined : dots.down === 1 ? median : String.fromCodePoint(0x28_00 + bits))),
  );
}

function overlaid(median: (string | undefined)[][], band: boolean[][], ink: Ink, paint: Paint): string[] {
  return median.map((row, index) => {
    const shade = band[index] ?? [];
    const runs: { style: "cyan" | "dim" | undefined; text: string }[] = [];
    for (const [column, mark] of row.entries()) {
      const style = mark === undefined ? (shade[column] ? "dim" : undefined) : "cyan";
      const text = mark ?? (shade[column] ? ink.band : " ");
      const run = runs.at(-1);
      if (run && run.style === style) run.text += text;
      else runs.push({ style, text });
    }
    return runs
      .map(({ style, text }) => (style ? paint(style, text) : text))
      .join("")
      .trimEnd();
  });
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact" });
const COMPACT_FROM = 10_000;

/** By row: the most, zero, and a few round counts between them. */
function countLabels(top: number, rows: number, { dots }: Ink): ReadonlyMap<number, string> {
  const lowest = rows * dots.down - 1;
  const text = (value: number) => (value < COMPACT_FROM ? String(value) : COMPACT.format(value));
  const labels = new Map([
    [0, text(top)],
    [rows - 1, "0"],
  ]);
  const step = roundedUp(top / 4);
  for (let value = step; value < top; value += step) {
    const row = Math.floor(Math.round((1 - value / top) * lowest) / dots.down);
    if (row >= 2 && !labels.has(row)) labels.set(row, text(value));
  }
  return labels;
}

/** To 1, 2 or 5 times a power of ten. */
function roundedUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}

interface TimeTick {
  readonly column: number;
  readonly label: string;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 7].map((days) => days * DAY_MS),
];

/** Now, and round times of the local clock after it. */
function timeTicks(firstMs: number, spanMs: number, columns: number, toLocal: CurveOptions["toLocal"]): TimeTick[] {
  const ticks: TimeTick[] = [{ column: 0, label: "now" }];
  const stepMs = timeStep(spanMs, columns);
  const shiftMs = toLocal(firstMs) - firstMs;
  let from = "now".length + 1;
  for (
    let atMs = Math.ceil((firstMs + shiftMs) / stepMs) * stepMs - shiftMs;
    atMs <= firstMs + spanMs;
    atMs += stepMs
  ) {
    const label = timeLabel(toLocal(atMs), stepMs, spanMs);
    const column = spanMs === 0 ? 0 : Math.round(((atMs - firstMs) / spanMs) * (columns - 1));
    const start = startOf({ column, label }, columns);
    if (start < from) continue;
    ticks.push({ column, label });
    from = start + label.length + 1;
  }
  return ticks;
}

/** The shortest step whose labels do not crowd. */
function timeStep(spanMs: number, columns: number): number {
  const fits = (stepMs: number) => (spanMs / stepMs) * (labelLength(stepMs) + 4) <= columns;
  const step = STEPS_MS.find(fits);
  if (step !== undefined) return step;
  let days = 14 * DAY_MS;
  while (!fits(days)) days *= 2;
  return days;
}

function labelLength(stepMs: number): number {
  return stepMs < MINUTE_MS ? "00:00:00".length : "00:00".length;
}

/** A time of day; a date where days are counted, and at midnight where there are several. */
function timeLabel(localMs: number, stepMs: number, spanMs: number): string {
  const at = new Date(localMs);
  if (Number.isNaN(at.getTime())) return "";
  const text = at.toISOString();
  if (stepMs >= DAY_MS || (spanMs > DAY_MS && text.slice(11, 16) === "00:00")) return text.slice(5, 10);
  return text.slice(11, 11 + labelLength(stepMs));
}

/** Where a label begins: its middle is at its tick, as far as there is room. */
function startOf({ column, label }: TimeTick, columns: number): number {
  return Math.max(0, Math.min(columns - label.length, column - Math.floor(label.length / 2)));
}

function floorLine(ticks: readonly TimeTick[], columns: number, ink: Ink): string {
  const marked = new Set(ticks.map(({ column }) => column));
  return Array.from({ length: columns }, (_, column) => (marked.has(column) ? ink.floorTick : ink.floor)).join("");
}

function tickLine(ticks: readonly TimeTick[], columns: number): string {
  return ticks.reduce((line, tick) => line.padEnd(startOf(tick, columns)) + tick.label, "");
}

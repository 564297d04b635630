import type { LengthsDetailView } from "@holdover/control/api";
import uPlot from "uplot";
import { dayText } from "./clock-text.ts";
import { durationTicks, type LengthCurves } from "./length-curves.ts";
import { lookOf, type PlotLook } from "./plot-look.ts";

/** The line charts of session lengths. Apart from the panel that shows them, so that uPlot is loaded with that alone. */

interface Place {
  readonly element: HTMLElement;
  readonly width: number;
}

interface Quantile {
  readonly name: string;
  readonly ms: number;
}

interface CurvesPlot extends Place {
  readonly curves: LengthCurves;
  /** The class of each residual curve's release. */
  readonly colours: readonly string[];
  readonly quantiles: readonly Quantile[];
  /** At which point of the curves the pointer is; null: at none. */
  readonly onLook: (index: number | null) => void;
}

const CURVES_HEIGHT = 178;
/** Room for the labels of an axis, and between two of them. */
const X_AXIS_PX = 28;
const Y_AXIS_PX = 44;
const LABEL_PX = 44;
const DRIFT_HEIGHT = 170;
/** Dashes tell the releases' curves apart where colours do not. */
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [5, 5], [12, 4]];

/** Two plots, one above the other, over the same time: all sessions, and what is live now of each release. */
export function drawCurves({ element, width, curves, colours, quantiles, onLook }: CurvesPlot): () => void {
  const look = lookOf(element);
  const { colour } = look;
  const { x, all, residual } = curves;
  const [from, to] = [x[0] ?? 0, x.at(-1) ?? 1];
  const ticks = durationTicks(from, to, ((to - from) * LABEL_PX) / (width - Y_AXIS_PX));
  const quiet = colour("--text-quiet");
  const shared = {
    width,
    height: CURVES_HEIGHT,
    legend: { show: false },
    scales: { x: { time: false }, y: { range: [0, 1] as [number, number] } },
    axes: [
      {
        ...look.axis,
        size: X_AXIS_PX,
        splits: () => ticks.map((tick) => tick.x),
        values: (_: uPlot, splits: number[]) => splits.map((at) => ticks.find((tick) => tick.x === at)?.label ?? ""),
      },
      {
        ...look.axis,
        size: Y_AXIS_PX,
        splits: () => [0, 0.25, 0.5, 0.75, 1],
        values: (_: uPlot, splits: number[]) => splits.map((share) => `${share * 100}%`),
      },
    ],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "lengths" } },
  };
  const told = (plot: uPlot) => onLook(plot.cursor.idx ?? null);
  const allLine = { stroke: colour("--text"), width: 2, points: { show: false } };
  const lengths = new uPlot(
    {
      ...shared,
      series: [{}, { ...allLine, fill: colour("--text", 8) }],
      hooks: { setCursor: [told], draw: [(plot) => drawQuantiles(plot, quantiles, look)] },
    },
    [x.slice(), all.slice()],
    element,
  );
  const lives = new uPlot(
    {
      ...shared,
      series: [
        {},
        { ...allLine, stroke: quiet, width: 1, dash: [3, 3] },
        ...residual.map((_, index) => ({
          stroke: colour("--lane", 100, colours[index]),
          width: 2,
          dash: DASHES[index % DASHES.length] ?? [],
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [told] },
    },
    [x.slice(), all.slice(), ...residual.map(({ shares }) => shares.slice())],
    element,
  );
  return () => {
    lengths.destroy();
    lives.destroy();
  };
}

/** A line down from each quantile's place on the curve, and its name on a row of its own, so that none covers another. */
function drawQuantiles(plot: uPlot, quantiles: readonly Quantile[], look: PlotLook): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  look.lettering(ctx);
  ctx.lineWidth = ratio;
  for (const [row, { name, ms }] of quantiles.entries()) {
    const x = Math.round(plot.valToPos(Math.log10(ms), "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const y = bbox.top + (10 + row * 16) * ratio;
    ctx.strokeStyle = look.colour("--text-quiet");
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const left = x + 90 * ratio > bbox.left + bbox.width;
    ctx.textAlign = left ? "right" : "left";
    ctx.fillText(name, x + (left ? -5 : 5) * ratio, y);
  }
  ctx.restore();
}

const DRIFTS = [
  { key: "p50Ms", name: "P50", dash: [] },
  { key: "p95Ms", name: "P95", dash: [7, 3] },
  { key: "p99Ms", name: "P99", dash: [2, 3] },
] as const;

/** How long sessions lasted by the day on which they ended. */
export function drawDrift({ element, width }: Place, days: LengthsDetailView["days"]): () => void {
  const look = lookOf(element);
  const { colour } = look;
  const values = DRIFTS.map(({ key }) => days.map((day) => (day[key] ? Math.log10(day[key]) : null)));
  const known = values.flat().filter((value) => value !== null);
  const [from, to] = [Math.min(...known) - 0.15, Math.max(...known) + 0.15];
  const ticks = durationTicks(from, to, (to - from) / 8);
  const x = days.map(({ dayMs }) => dayMs);
  const plot = new uPlot(
    {
      width,
      height: DRIFT_HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      padding: [null, 34, null, null],
      scales: { x: { time: false }, y: { range: [from, to] } },
      axes: [
        {
          ...look.axis,
          size: X_AXIS_PX,
          splits: () =>
            x.filter((_, index) => (x.length - 1 - index) % Math.max(1, Math.ceil((x.length * 56) / width)) === 0),
          values: (_, splits) => splits.map((dayMs) => dayText(dayMs)),
        },
        {
          ...look.axis,
          size: Y_AXIS_PX,
          splits: () => ticks.map((tick) => tick.x),
          values: (_, splits) => splits.map((at) => ticks.find((tick) => tick.x === at)?.label ?? ""),
        },
      ],
      series: [
        {},
        ...DRIFTS.map(({ dash }) => ({
          stroke: colour("--accent"),
          width: 2,
          dash: [...dash],
          points: { show: true, size: 5, fill: colour("--surface") },
        })),
      ],
      hooks: { draw: [(plot) => nameLines(plot, values, look)] },
    },
    [x, ...values],
    element,
  );
  return () => plot.destroy();
}

/** The name of each line at its right end. */
function nameLines(plot: uPlot, values: readonly (readonly (number | null)[])[], look: PlotLook): void {
  const { ctx } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  look.lettering(ctx);
  ctx.textAlign = "left";
  for (const [index, { name }] of DRIFTS.entries()) {
    const line = values[index] ?? [];
    const last = line.findLastIndex((value) => value !== null);
    if (last < 0) continue;
    const x = plot.valToPos(plot.data[0][last] ?? 0, "x", true);
    ctx.fillText(name, x + 8 * ratio, plot.valToPos(line[last] ?? 0, "y", true));
  }
  ctx.restore();
}

import type { ChartFrame } from "./line-chart.ts";

export interface AxisTick {
  readonly at: number;
  readonly label: string;
}

interface ChartAxesProps {
  readonly frame: ChartFrame;
  readonly x: readonly AxisTick[];
  readonly y: readonly AxisTick[];
}

/** The grid of a chart and its labels. */
export function ChartAxes({ frame, x, y }: ChartAxesProps) {
  const { left, right, top, bottom, xOf, yOf } = frame;
  return (
    <g class="chart-axes">
      {x.map(({ at, label }) => (
        <g key={at}>
          <path d={`M${xOf(at)} ${top}V${bottom}`} />
          <text x={xOf(at)} y={bottom + 16}>
            {label}
          </text>
        </g>
      ))}
      {y.map(({ at, label }) => (
        <g key={at}>
          <path d={`M${left} ${yOf(at)}H${right}`} />
          <text class="left" x={left - 6} y={yOf(at) + 4}>
            {label}
          </text>
        </g>
      ))}
    </g>
  );
}

import type { LengthsDetailView } from "@holdover/control/api";
import { dayText } from "./clock-text.ts";
import { ChartAxes } from "./chart-axes.tsx";
import { durationTicks } from "./length-curves.ts";
import { apart, chartFrame, linePath } from "./line-chart.ts";
import { useWidth } from "./width.ts";

const HEIGHT_PX = 164;
const NAME_PX = 34;
const DAY_PX = 58;
const LINES = [
  ["p50Ms", "P50"],
  ["p95Ms", "P95"],
  ["p99Ms", "P99"],
] as const;

/** How the lengths of sessions changed from day to day, on an axis of the logarithm of time. */
export function DriftChart({ days }: { readonly days: LengthsDetailView["days"] }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const lines = LINES.map(([key, name]) => ({
    name,
    values: days.map((day) => (day[key] ? Math.log10(day[key]) : null)),
  })).filter(({ values }) => values.some((value) => value !== null));
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  if (known.length === 0) return <p class="chart-none">No session has ended in the last 14 days.</p>;
  const [from, to] = [Math.min(...known) - 0.15, Math.max(...known) + 0.15];
  const x = days.map((_, index) => index);
  const frame = chartFrame(width, HEIGHT_PX, NAME_PX, [0, days.length - 1], [from, to]);
  const every = Math.max(1, Math.ceil((days.length * DAY_PX) / (frame.right - frame.left)));
  const ticks = days.flatMap(({ dayMs }, at) =>
    (days.length - 1 - at) % every === 0 ? { at, label: dayText(dayMs) } : [],
  );
  const ends = lines.map(({ values }) => values.findLastIndex((value) => value !== null));
  const heights = apart(
    lines.map(({ values }, index) => frame.yOf(values[ends[index]!] ?? from)),
    13,
  );
  return (
    <div ref={ref} class="drift-chart">
      {width > 0 && (
        <svg width={width} height={HEIGHT_PX} aria-hidden="true">
          <ChartAxes frame={frame} x={ticks} y={durationTicks(from, to, (to - from) / 7)} />
          {lines.map(({ name, values }, index) => (
            <g key={name} class={`drift dash-${index}`}>
              <path d={linePath(frame, x, values)} />
              {values.map(
                (value, at) => value !== null && <circle key={at} cx={frame.xOf(at)} cy={frame.yOf(value)} r="2" />,
              )}
              <text x={frame.xOf(ends[index]!) + 7} y={heights[index]! + 4}>
                {name}
              </text>
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}

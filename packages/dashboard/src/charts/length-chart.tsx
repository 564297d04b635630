import type { LengthsDetailView, ServiceView } from "@holdover/control/api";
import { useMemo, useState } from "preact/hooks";
import { laneClass } from "../parts/lane.ts";
import { counted, duration } from "../words/figures.ts";
import { type AxisTick, ChartAxes } from "./chart-axes.tsx";
import { durationTicks, type LengthCurves, quantilesOf } from "./length-curves.ts";
import { chartFrame, type ChartFrame, linePath } from "./line-chart.ts";
import { useWidth } from "./width.ts";

interface LengthChartProps {
  readonly lengths: LengthsDetailView;
  readonly curves: LengthCurves;
  readonly service: Pick<ServiceView, "releases">;
}

const HEIGHT_PX = 172;
const LABEL_PX = 44;
const SHARES: readonly AxisTick[] = [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, label: `${100 * at}%` }));

/** Two charts over one axis: how long sessions last, and how much longer those that are live now will. */
export function LengthChart({ lengths, curves, service }: LengthChartProps) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [looked, setLooked] = useState<number>();
  const [from, to] = [curves.x[0] ?? 0, curves.x.at(-1) ?? 1];
  const frame = useMemo(() => chartFrame(width, HEIGHT_PX, 8, [from, to], [0, 1]), [width, from, to]);
  const drawn = useMemo(() => <Charts {...{ frame, lengths, curves, service }} />, [frame, lengths, curves, service]);
  const look = (event: PointerEvent & { currentTarget: HTMLDivElement }) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const share = (x - frame.left) / (frame.right - frame.left);
    setLooked(share < 0 || share > 1 ? undefined : Math.round(share * (curves.x.length - 1)));
  };
  const said =
    looked === undefined
      ? `Above: of all sessions, by ${counted(lengths.ends, "ended session")}. Below: of what is live now, from now on.`
      : lookText(looked, curves);
  return (
    <figure class="lengths-chart">
      <figcaption>
        <h4>Share of sessions that last longer than a time</h4>
        <p>{said}</p>
      </figcaption>
      <div ref={ref} onPointerMove={look} onPointerDown={look} onPointerLeave={() => setLooked(undefined)}>
        {width > 0 && drawn}
        {looked !== undefined && (
          <i class="lengths-hair" style={{ left: `${frame.xOf(curves.x[looked] ?? from)}px` }} />
        )}
      </div>
    </figure>
  );
}

function Charts({ frame, lengths, curves, service }: LengthChartProps & { readonly frame: ChartFrame }) {
  const { x, all, residual } = curves;
  const [from, to] = [x[0] ?? 0, x.at(-1) ?? 1];
  const ticks = durationTicks(from, to, ((to - from) * LABEL_PX) / (frame.right - frame.left));
  const line = linePath(frame, x, all);
  const known = x.filter((_, index) => all[index] !== null);
  const under = known.length > 0 ? `${line}V${frame.bottom}H${frame.xOf(known[0]!)}Z` : "";
  return (
    <>
      <svg width={frame.width} height={HEIGHT_PX} aria-hidden="true">
        <ChartAxes frame={frame} x={ticks} y={SHARES} />
        <path class="under" d={under} />
        <path class="all" d={line} />
        {quantilesOf(lengths).map(({ name, ms }, row) => (
          <Quantile key={name} frame={frame} text={`${name} ${duration(ms)}`} at={Math.log10(ms)} row={row} />
        ))}
      </svg>
      <svg width={frame.width} height={HEIGHT_PX} aria-hidden="true">
        <ChartAxes frame={frame} x={ticks} y={SHARES} />
        <path class="all beside" d={line} />
        {residual.map(({ release, shares }, index) => (
          <path
            key={release}
            class={`live dash-${index} ${laneClass(service.releases, release)}`}
            d={linePath(frame, x, shares)}
          />
        ))}
      </svg>
    </>
  );
}

/** A line down to the axis, and its name in a row of its own, so that none covers another. */
function Quantile({ frame, text, at, row }: { frame: ChartFrame; text: string; at: number; row: number }) {
  const x = frame.xOf(at);
  if (x < frame.left || x > frame.right) return null;
  const y = frame.top + 10 + 16 * row;
  const before = x + 96 > frame.right;
  return (
    <g class="quantile">
      <path d={`M${x} ${y - 8}V${frame.bottom}`} />
      <text class={before ? "left" : undefined} x={before ? x - 5 : x + 5} y={y}>
        {text}
      </text>
    </g>
  );
}

function lookText(index: number, { x, all, residual }: LengthCurves): string {
  const percent = (share: number | null | undefined) => (share == null ? "not known" : `${Math.round(100 * share)}%`);
  const lives = residual.map(({ release, shares }) => `${release} ${percent(shares[index])}`);
  return [`Longer than ${duration(10 ** (x[index] ?? 0))}: all ${percent(all[index])}`, ...lives].join(", ");
}

import type { ForecastView, ServiceView, TimelineView } from "@holdover/control/api";
import type { ComponentChildren } from "preact";
import { useId, useMemo, useRef, useState } from "preact/hooks";
import { LaneAhead } from "./lane-ahead.tsx";
import { LaneBackdrop } from "./lane-backdrop.tsx";
import { LaneBands } from "./lane-bands.tsx";
import { LaneCrosshair } from "./lane-crosshair.tsx";
import { LaneLabels } from "./lane-labels.tsx";
import { LaneLegend } from "./lane-legend.tsx";
import { HOLDS_MS, laneLayout } from "./lane-layout.ts";
import { LaneMarks } from "./lane-marks.tsx";
import { reachOf } from "./lane-reach.ts";
import { summaryText } from "./lane-reading.ts";
import { LaneTable } from "./lane-table.tsx";
import { clockText } from "./clock-text.ts";
import { useWidth } from "./width.ts";

export const LANE_RANGES = [
  { name: "15 min", ms: 900_000 },
  { name: "1 h", ms: 3_600_000 },
  { name: "6 h", ms: 21_600_000 },
  { name: "48 h", ms: 172_800_000 },
] as const;

export type LaneRangeMs = (typeof LANE_RANGES)[number]["ms"];

export interface LanesProps {
  /** Of the range that is shown. A new one every few seconds, at least every 30 s: after that the picture says that it
   *  has not heard. undefined: there is none yet, and the one before is shown until then. */
  readonly timeline: TimelineView | undefined;
  /** The order of its releases gives the colours; its counts are the numbers at the bands. */
  readonly service: ServiceView;
  /** Of retained and expiring releases, as far as there are any. */
  readonly forecasts: readonly ForecastView[];
  /** The server's time as the page reckons it; the picture moves with it, so once a second is well. */
  readonly nowMs: number;
  readonly rangeMs: LaneRangeMs;
  readonly onRange: (rangeMs: LaneRangeMs) => void;
}

const REDRAW_MS = 5000;
/** A mark at now is seen whole. */
const MARK_PX = 8;

/** The picture of a service: each release a lane, as thick as it has live sessions; what is past, now, and what is ahead. */
export function Lanes({ timeline, service, forecasts, nowMs, rangeMs, onRange }: LanesProps) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const last = useRef<TimelineView>(undefined);
  if (timeline || last.current?.service !== service.name) last.current = timeline;
  const shown = last.current;
  return (
    <figure class="lanes">
      <div class="lanes-head">
        <Ranges rangeMs={rangeMs} onRange={onRange} />
      </div>
      <div ref={ref}>
        {shown && width > 0 ? (
          <Plot {...{ timeline: shown, service, forecasts, nowMs, rangeMs, width }} />
        ) : (
          <div class="lanes-none">Waiting for the first numbers…</div>
        )}
      </div>
    </figure>
  );
}

function Ranges({ rangeMs, onRange }: Pick<LanesProps, "rangeMs" | "onRange">) {
  const name = useId();
  return (
    <fieldset class="lanes-ranges">
      <legend class="hidden">Time shown</legend>
      {LANE_RANGES.map((range) => (
        <label key={range.ms}>
          <input type="radio" name={name} checked={range.ms === rangeMs} onChange={() => onRange(range.ms)} />
          <span>{range.name}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface PlotProps extends Omit<LanesProps, "timeline" | "onRange"> {
  readonly timeline: TimelineView;
  readonly width: number;
}

function Plot({ timeline, service, forecasts, nowMs, width, rangeMs: chosenMs }: PlotProps) {
  const id = useId();
  const rangeMs = reachOf(timeline, nowMs, chosenMs);
  const anchorMs = useAnchor(nowMs, rangeMs, width);
  // Drawn anew with new numbers, or when there have been none for some time.
  const drawnMs = Math.max(timeline.nowMs, Math.floor(nowMs / REDRAW_MS) * REDRAW_MS);
  const [atMs, onLook] = useState<number>();
  const layout = useMemo(
    () => laneLayout({ timeline, service, forecasts, rangeMs, nowMs: drawnMs, anchorMs, width }),
    [timeline, service, forecasts, rangeMs, drawnMs, anchorMs, width],
  );
  // The same elements as long as the layout is the same: between updates nothing is drawn, things are but moved.
  const drawn = useMemo(
    () => ({
      still: <LaneBackdrop layout={layout} label={summaryText(service, timeline, rangeMs)} />,
      bands: <LaneBands layout={layout} id={id} />,
      marks: <LaneMarks layout={layout} onLook={onLook} />,
      ahead: <LaneAhead layout={layout} />,
      legend: <LaneLegend layout={layout} id={id} />,
      table: <LaneTable service={service} timeline={timeline} layout={layout} />,
    }),
    [layout],
  );
  if (layout.lanes.length === 0) return <p class="lanes-none">No release had a session or an instance in this time.</p>;
  const { plot, nowX, height, narrow, pxPerMs, ahead } = layout;
  const passedMs = nowMs - anchorMs;
  const look = (event: PointerEvent & { currentTarget: HTMLDivElement }) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    onLook(x < plot.left ? undefined : nowMs + (x <= nowX ? (x - nowX) / pxPerMs : ahead.msAt(x - nowX)));
  };
  return (
    <>
      <div
        class={narrow ? "lanes-plot narrow" : "lanes-plot"}
        style={{ height: `${height}px` }}
        onPointerMove={look}
        onPointerDown={look}
        onPointerLeave={() => onLook(undefined)}
      >
        {drawn.still}
        <Moving key={`past ${anchorMs}`} fromX={plot.left} toX={nowX} byPx={-passedMs * pxPerMs}>
          {drawn.bands}
        </Moving>
        <div class="lanes-window" style={{ left: `${nowX}px`, width: `${plot.right - nowX}px` }}>
          <div class="lanes-fixed" style={{ left: `${-nowX}px` }}>
            {drawn.ahead}
          </div>
        </div>
        <Moving key={`marks ${anchorMs}`} fromX={plot.left} toX={nowX + MARK_PX} byPx={-passedMs * pxPerMs}>
          {drawn.marks}
        </Moving>
        <LaneLabels layout={layout} nowMs={drawnMs} stale={nowMs - timeline.nowMs > HOLDS_MS} />
        <div class="lanes-now" style={{ left: `${nowX}px`, height: `${plot.bottom}px` }}>
          <span>now {clockText(nowMs)}</span>
        </div>
        <LaneCrosshair {...{ layout, timeline, forecasts, nowMs, atMs, onLook }} />
      </div>
      {drawn.legend}
      {drawn.table}
    </>
  );
}

interface MovingProps {
  readonly fromX: number;
  readonly toX: number;
  readonly byPx: number;
  readonly children: ComponentChildren;
}

/** A window onto shapes that time moves: they are shifted as one, which costs no drawing. */
function Moving({ fromX, toX, byPx, children }: MovingProps) {
  return (
    <div class="lanes-window" style={{ left: `${fromX}px`, width: `${toX - fromX}px` }}>
      <div class="lanes-moving" style={{ left: `${-fromX}px`, transform: `translateX(${byPx.toFixed(2)}px)` }}>
        {children}
      </div>
    </div>
  );
}

/** The moment for which the picture is laid out: it stays while time moves the picture, until that has gone far. */
function useAnchor(nowMs: number, rangeMs: number, width: number): number {
  const anchor = useRef({ atMs: nowMs, rangeMs, width });
  const { current } = anchor;
  const far = Math.abs(nowMs - current.atMs) > rangeMs;
  if (far || current.rangeMs !== rangeMs || current.width !== width) anchor.current = { atMs: nowMs, rangeMs, width };
  return anchor.current.atMs;
}

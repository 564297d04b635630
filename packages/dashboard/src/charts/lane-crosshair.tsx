import type { ForecastView, TimelineView } from "@holdover/control/api";
import type { LanesLayout } from "./lane-layout.ts";
import { readingAt } from "./lane-reading.ts";

export interface LaneCrosshairProps {
  readonly layout: LanesLayout;
  readonly timeline: TimelineView;
  readonly forecasts: readonly ForecastView[];
  readonly nowMs: number;
  /** The moment that is looked at; undefined: none. */
  readonly atMs: number | undefined;
  readonly onLook: (atMs: number | undefined) => void;
}

const MOST_ROWS = 10;

/** A line through all lanes and the numbers of that moment: by pointer, or as a slider by the keys. */
export function LaneCrosshair({ layout, timeline, forecasts, nowMs, atMs, onLook }: LaneCrosshairProps) {
  const { plot, nowX, pxPerMs, ahead } = layout;
  const firstMs = nowMs - (nowX - plot.left) / pxPerMs;
  const lastMs = nowMs + ahead.spanMs;
  const looked = Math.max(firstMs, Math.min(lastMs, atMs ?? nowMs));
  const reading = readingAt(looked, { timeline, forecasts, layout, nowMs });
  const x = nowX + (looked - nowMs) * (looked <= nowMs ? pxPerMs : ahead.pxPerMs);
  const go = (event: KeyboardEvent) => {
    const past = timeline.stepMs;
    const step = looked > nowMs ? ahead.spanMs / 60 : past;
    const to = {
      ArrowLeft: looked - (looked - step < nowMs ? past : step),
      ArrowRight: looked + (looked + past > nowMs ? ahead.spanMs / 60 : past),
      PageUp: looked - 10 * step,
      PageDown: looked + 10 * step,
      Home: firstMs,
      End: lastMs,
      Escape: undefined,
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    onLook(to[event.key as keyof typeof to]);
  };
  const rows = reading.rows.slice(0, MOST_ROWS);
  const more = reading.rows.length - rows.length;
  return (
    <>
      <div
        class="lanes-look"
        style={{
          left: `${plot.left}px`,
          width: `${plot.right - plot.left}px`,
          top: `${plot.top}px`,
          height: `${plot.bottom - plot.top}px`,
        }}
        role="slider"
        tabIndex={0}
        aria-label="Moment whose numbers are told"
        aria-valuemin={Math.round(firstMs / 1000)}
        aria-valuemax={Math.round(lastMs / 1000)}
        aria-valuenow={Math.round(looked / 1000)}
        aria-valuetext={`${reading.title}: ${reading.rows.map(({ release, text }) => `${release} ${text}`).join(", ") || "no session"}`}
        onKeyDown={go}
        onBlur={() => onLook(undefined)}
      />
      {atMs !== undefined && (
        <>
          <div
            class="lanes-hair"
            style={{ left: `${x}px`, top: `${plot.top}px`, height: `${plot.bottom - plot.top}px` }}
          />
          <div
            class="lanes-tip"
            style={{
              top: `${plot.top + 6}px`,
              ...(x > layout.width / 2 ? { right: `${layout.width - x + 12}px` } : { left: `${x + 12}px` }),
            }}
          >
            <strong>{reading.title}</strong>
            {rows.map(({ release, colour, text }) => (
              <div key={release} class={`lanes-tip-row lane-${colour}`}>
                <i />
                <span>{release}</span>
                <b>{text}</b>
              </div>
            ))}
            {rows.length === 0 && <div>no session</div>}
            {more > 0 && <div>and {more} more</div>}
          </div>
        </>
      )}
    </>
  );
}

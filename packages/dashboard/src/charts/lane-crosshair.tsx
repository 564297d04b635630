import type { ForecastView, TimelineView } from "@holdover/control/api";
import type { LanesLayout } from "./lane-layout.ts";
import { type Reading, readingAt } from "./lane-reading.ts";

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
const AHEAD_STEP_PX = 4;

/** A line through all lanes and the numbers of that moment: by pointer, or as a slider by the keys. */
export function LaneCrosshair({ layout, timeline, forecasts, nowMs, atMs, onLook }: LaneCrosshairProps) {
  const { plot, nowX, pxPerMs, ahead } = layout;
  const firstMs = nowMs - (nowX - plot.left) / pxPerMs;
  const lastMs = nowMs + ahead.spanMs;
  const looked = Math.max(firstMs, Math.min(lastMs, atMs ?? nowMs));
  const reading = readingAt(looked, { timeline, forecasts, layout, nowMs });
  const px = looked <= nowMs ? (looked - nowMs) * pxPerMs : ahead.pxOf(looked - nowMs);
  const x = nowX + px;
  // From sample to sample; ahead of now, where there are none, by a few pixels.
  const by = (steps: number) => {
    const to = looked + steps * timeline.stepMs;
    return px + steps * AHEAD_STEP_PX > 0 && to > nowMs ? nowMs + ahead.msAt(px + steps * AHEAD_STEP_PX) : to;
  };
  const go = (event: KeyboardEvent) => {
    const moves: Record<string, () => number | undefined> = {
      ArrowLeft: () => by(-1),
      ArrowRight: () => by(1),
      PageUp: () => by(-10),
      PageDown: () => by(10),
      Home: () => firstMs,
      End: () => lastMs,
      Escape: () => undefined,
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    onLook(move());
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
        aria-valuetext={readAloud(reading)}
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
            {reading.events.map((event) => (
              <p key={event}>{event}</p>
            ))}
            {rows.map(({ release, colour, text }) => (
              <div key={release} class={`lanes-tip-row ${colour}`}>
                <i />
                <span>{release}</span>
                <b>{text}</b>
              </div>
            ))}
            {rows.length === 0 && <p>{looked > nowMs ? "nothing is foreseen" : "no session"}</p>}
            {more > 0 && <div>and {more} more</div>}
          </div>
        </>
      )}
    </>
  );
}

function readAloud({ title, events, rows }: Reading): string {
  const numbers = rows.map(({ release, text }) => `${release} ${text}`).join(", ") || "no session";
  return [title, ...events, numbers].join(". ");
}

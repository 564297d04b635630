import { useRef, useState } from "preact/hooks";
import { clockText } from "./clock-text.ts";
import type { LaneMark, LanesLayout } from "./lane-layout.ts";
import { eventText } from "./lane-story.ts";

/** What happened, as marks; one stop of the Tab key, and arrow keys from one to the next. */
export function LaneMarks({ layout, onLook }: { layout: LanesLayout; onLook: (atMs: number | undefined) => void }) {
  const { marks, width, height, plot } = layout;
  const [focused, setFocused] = useState<number>();
  const ref = useRef<SVGSVGElement>(null);
  const entry = marks.some(({ event }) => event.seq === focused) ? focused : marks.at(-1)?.event.seq;
  const go = (event: KeyboardEvent) => {
    const index = marks.findIndex((mark) => mark.event.seq === entry);
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: marks.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    ref.current?.querySelectorAll<SVGGElement>(".mark")[Math.max(0, Math.min(marks.length - 1, to))]?.focus();
  };
  return (
    <svg
      ref={ref}
      class="lanes-layer lanes-marks"
      width={width}
      height={height}
      role="group"
      aria-label="What happened, by time"
      onKeyDown={go}
    >
      {marks.map((mark) => {
        const { event } = mark;
        return (
          <g
            key={event.seq}
            class={`mark ${event.kind} lane-${mark.colour}`}
            role="img"
            tabIndex={event.seq === entry ? 0 : -1}
            aria-label={`${clockText(event.atMs, true)} ${eventText(event)}. By ${event.actor}: ${event.reason}`}
            onFocus={() => {
              setFocused(event.seq);
              onLook(event.atMs);
            }}
            onBlur={() => onLook(undefined)}
          >
            <Shape mark={mark} top={plot.top} />
          </g>
        );
      })}
    </svg>
  );
}

function Shape({ mark: { event, x, y, fromY }, top }: { mark: LaneMark; top: number }) {
  switch (event.kind) {
    case "cutover":
    case "rollback":
    case "ramping":
      return (
        <>
          {fromY !== undefined && <path class="hands-over" d={handoverPath(x, fromY, y)} />}
          {fromY !== undefined && <circle class="leaves" cx={x} cy={fromY} r="2.5" />}
          <path class="glyph" transform={`translate(${x} ${y})`} d={GLYPHS[event.kind]} />
          {event.kind !== "ramping" && (
            <text class="flag" x={x} y={top - 8}>
              {event.kind === "rollback" ? "↶ " : ""}
              {event.release}
            </text>
          )}
        </>
      );
    default:
      return <path class="glyph" transform={`translate(${x} ${y})`} d={GLYPHS[event.kind]} />;
  }
}

/** Leaves the old lane a little before the moment, and is on the new one a little after it. */
function handoverPath(x: number, fromY: number, y: number): string {
  return `M${x} ${fromY}V${y}`;
}

const GLYPHS = {
  cutover: "M0-6A6 6 0 1 1 0 6A6 6 0 1 1 0-6Z",
  rollback: "M6-6V6L-6 0Z",
  ramping: "M0-6L6 0L0 6L-6 0Z",
  starting: "M0-3A3 3 0 1 1 0 3A3 3 0 1 1 0-3Z",
  expiring: "M-5-6H5L-5 6H5Z",
  retired: "M-1.5-7H1.5V7H-1.5Z",
  failed: "M-5-5L5 5M5-5L-5 5",
} as const;

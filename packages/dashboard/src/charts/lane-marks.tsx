import { useRef, useState } from "preact/hooks";
import { clockText } from "./clock-text.ts";
import { GLYPHS } from "./glyphs.ts";
import type { LaneMark, LanesLayout } from "./lane-layout.ts";
import { eventText } from "./lane-story.ts";

export interface LaneMarksProps {
  readonly layout: LanesLayout;
  readonly onLook: (atMs: number | undefined) => void;
}

/** What happened, as marks; one stop of the Tab key, and arrow keys from one to the next. */
export function LaneMarks({ layout, onLook }: LaneMarksProps) {
  const { marks, width, height, plot } = layout;
  const [focused, setFocused] = useState<number>();
  const ref = useRef<SVGSVGElement>(null);
  const entry = marks.some(({ event }) => event.seq === focused) ? focused : marks.at(-1)?.event.seq;
  const go = (event: KeyboardEvent) => {
    const index = marks.findIndex((mark) => mark.event.seq === entry);
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: marks.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    ref.current?.querySelectorAll<SVGGElement>(".event")[Math.max(0, Math.min(marks.length - 1, to))]?.focus();
  };
  if (marks.length === 0) return null;
  return (
    <svg
      ref={ref}
      class="lanes-layer"
      width={width}
      height={height}
      role="group"
      aria-label="What happened to releases"
      onKeyDown={go}
    >
      {marks.map((mark) => {
        const { event, x, y } = mark;
        return (
          <g
            key={event.seq}
            class={`event ${event.kind}${mark.small ? " small" : ""} ${mark.colour}`}
            role="img"
            tabIndex={event.seq === entry ? 0 : -1}
            aria-label={`${clockText(event.atMs, true)}: ${eventText(event)}. By ${event.actor}, ${event.reason}`}
            onFocus={() => {
              setFocused(event.seq);
              onLook(event.atMs);
            }}
            onBlur={() => onLook(undefined)}
          >
            <Handover mark={mark} top={plot.top} />
            <path
              class="glyph"
              transform={`translate(${x} ${y})${mark.small ? "scale(.45)" : ""}`}
              d={GLYPHS[event.kind]}
            />
          </g>
        );
      })}
    </svg>
  );
}

/** From the lane that is left to the one that takes over, and its name above the picture. */
function Handover({ mark: { event, x, y, fromY, flag }, top }: { readonly mark: LaneMark; readonly top: number }) {
  return (
    <>
      {fromY !== undefined && (
        <>
          <path class="hands-over" d={`M${x} ${fromY}V${y}`} />
          <circle class="leaves" cx={x} cy={fromY} r="3" />
        </>
      )}
      {flag !== undefined && (
        <text class="flag" x={x} y={top - 10}>
          {event.kind === "rollback" ? `↶ ${flag}` : flag}
        </text>
      )}
    </>
  );
}

import { counted, number } from "../words/figures.ts";
import { momentText } from "./clock-text.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";

export interface LaneLabelsProps {
  readonly layout: LanesLayout;
  readonly nowMs: number;
  /** Nothing has been heard for long: the counts are no longer those of now. */
  readonly stale: boolean;
}

/** The name and state of each lane at its left, the live sessions where its band meets now. */
export function LaneLabels({ layout, nowMs, stale }: LaneLabelsProps) {
  const { narrow, plot, nowX } = layout;
  return (
    <>
      {layout.lanes.map((lane) => {
        const { release, folded, colour, state, top, room, middle, live } = lane;
        const height = narrow ? lane.height - room : lane.height;
        const known = live !== null && !stale;
        return (
          <div key={release ?? ""} class={colour}>
            <div
              class={height < 34 ? "lanes-label short" : "lanes-label"}
              style={{ top: `${top}px`, height: `${height}px`, width: narrow ? `${nowX}px` : `${plot.left}px` }}
              title={release ?? folded.join(", ")}
            >
              <span class="lanes-name">{release ?? `${folded.length} earlier releases`}</span>
              <span class="lanes-state">{stateText(lane, nowMs, narrow)}</span>
            </div>
            {state !== "retired" && state !== "failed" && (
              <span
                class={`lanes-count${known ? "" : " unknown"}${room < 24 ? " short" : ""}`}
                style={{ left: `${nowX + 6}px`, top: `${middle}px` }}
                title={
                  known ? `${counted(live, "live session")} now` : "How many live sessions there are is not known now"
                }
              >
                {known ? number(live) : "?"}
              </span>
            )}
          </div>
        );
      })}
    </>
  );
}

function stateText({ state, percent, ahead, retention }: Lane, nowMs: number, narrow: boolean): string {
  switch (state) {
    case "ramping":
      return `ramping, ${percent}% of new`;
    case "retained":
      return ahead.kind === "fan"
        ? `retained until ≈ ${momentText(ahead.retires.medianMs, nowMs)}`
        : narrow
          ? "retained, nobody can tell"
          : "retained";
    case "expiring":
      return retention?.deadlineMs ? `expiring until ${momentText(retention.deadlineMs, nowMs)}` : state;
    default:
      return state;
  }
}

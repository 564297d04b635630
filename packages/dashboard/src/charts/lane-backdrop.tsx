import { number } from "../words/figures.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";

/** What time does not move: the lanes' ground, the axis ahead, and the bands that go on without a claim. */
export function LaneBackdrop({ layout, label }: { readonly layout: LanesLayout; readonly label: string }) {
  const { lanes, plot, nowX, width, height, ahead, narrow } = layout;
  return (
    <svg class="lanes-layer" width={width} height={height} role="img" aria-label={label}>
      <rect class="ahead-ground" x={nowX} y={plot.top} width={plot.right - nowX} height={plot.bottom - plot.top} />
      {lanes.map(({ release, colour, top, height, room }) => (
        <g key={release ?? ""} class={colour}>
          <line class="border" x1="0" x2={plot.right} y1={top + height} y2={top + height} />
          <rect class="tag" y={top + 3} width="4" rx="2" height={Math.max(8, (narrow ? height - room : height) - 6)} />
        </g>
      ))}
      {ahead.ticks.map(({ px, label }) => (
        <g key={label} class="tick">
          <line x1={nowX + px} x2={nowX + px} y1={plot.top} y2={plot.bottom} />
          <text x={nowX + px} y={plot.bottom + 16}>
            {label}
          </text>
        </g>
      ))}
      {lanes.map((lane) => (
        <Beyond key={lane.release ?? ""} lane={lane} layout={layout} />
      ))}
    </svg>
  );
}

/** What lies ahead and has no place in time: what goes on, what nobody can tell. */
function Beyond({ lane, layout }: { lane: Lane; layout: LanesLayout }) {
  const { ahead, colour, middle, live } = lane;
  const { nowX, plot, narrow } = layout;
  switch (ahead.kind) {
    case "nothing":
    case "fan":
      return null;
    case "open":
      return (
        <path
          class={`open ${colour}`}
          d={`M${nowX} ${middle - ahead.half}H${plot.right}M${nowX} ${middle + ahead.half}H${plot.right}`}
        />
      );
    case "unknown":
      return (
        ahead.kind === "unknown" &&
        !narrow && (
          <text class="quiet" x={nowX + 30 + 9 * number(live ?? 0).length} y={middle + 4}>
            nobody can tell when it ends
          </text>
        )
      );
  }
}

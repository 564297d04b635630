import type { LanesLayout } from "./lane-layout.ts";

/** What time does not move: the lanes' ground, the axis ahead, the scale, and the bands that go on without a claim. */
export function LaneBackdrop({ layout, label }: { readonly layout: LanesLayout; readonly label: string }) {
  const { lanes, plot, nowX, width, height, aheadTicks, scale } = layout;
  const { bar } = scale;
  const barX = layout.narrow ? 8 : plot.left - 14;
  return (
    <svg class="lanes-layer" width={width} height={height} role="img" aria-label={label}>
      <rect class="ahead-ground" x={nowX} y={plot.top} width={plot.right - nowX} height={plot.bottom - plot.top} />
      {lanes.map(({ release, top, height }) => (
        <line key={release ?? ""} class="border" x1="0" x2={plot.right} y1={top + height} y2={top + height} />
      ))}
      {aheadTicks.map(({ afterMs, x, label }) => (
        <g key={afterMs} class="tick">
          <line x1={x} x2={x} y1={plot.top} y2={plot.bottom} />
          <text x={x} y={plot.bottom + 17}>
            {label}
          </text>
        </g>
      ))}
      {lanes.map(({ release, colour, middle, ahead }) => {
        const end = Math.min(plot.right, nowX + 160);
        if (ahead.kind === "open") {
          return (
            <path
              key={release}
              class={`open lane-${colour}`}
              d={`M${nowX} ${middle - ahead.half}H${end}M${nowX} ${middle + ahead.half}H${end}`}
            />
          );
        }
        if (ahead.kind !== "unknown") return null;
        return (
          <text key={release} class="cannot-tell" x={plot.right - 8} y={middle + 4}>
            nobody can tell
          </text>
        );
      })}
      {!layout.narrow && (
        <g class="scale">
          <path d={`M${barX - 4} ${plot.bottom + 4}h8m-4 0v${Math.min(18, bar.px)}m-4 0h8`} />
          <text x={barX - 8} y={plot.bottom + 17}>
            {bar.sessions} session{bar.sessions === 1 ? "" : "s"}
          </text>
        </g>
      )}
    </svg>
  );
}

import { outlinePath } from "./band.ts";
import type { LanesLayout } from "./lane-layout.ts";

/** What has been: the bands, the gaps in them, and the clock below. Moves with time as a whole. */
export function LaneBands({ layout, hatch }: { readonly layout: LanesLayout; readonly hatch: string }) {
  const { lanes, ticks, plot, width, height } = layout;
  return (
    <svg class="lanes-layer" width={width} height={height} aria-hidden="true">
      <defs>
        <pattern id={hatch} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <line x1="0" y1="0" x2="0" y2="6" class="hatch" />
        </pattern>
      </defs>
      {ticks.map(({ atMs, x, label }) => (
        <g key={atMs} class="tick">
          <line x1={x} x2={x} y1={plot.top} y2={plot.bottom} />
          <text x={x} y={plot.bottom + 17}>
            {label}
          </text>
        </g>
      ))}
      {lanes.map((lane) => (
        <g key={lane.release ?? ""} class={`lane-${lane.colour}`} transform={`translate(0 ${lane.middle})`}>
          {lane.band.gaps.map(({ fromX, toX }) => (
            <rect
              key={fromX}
              x={fromX}
              width={toX - fromX}
              y={3 - lane.room / 2}
              height={lane.room - 6}
              fill={`url(#${hatch})`}
            />
          ))}
          {lane.band.pieces.map((piece) => (
            <path key={piece.x[0]} class="band" d={outlinePath(piece)} />
          ))}
        </g>
      ))}
    </svg>
  );
}

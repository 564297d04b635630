import { outlinePath } from "./band.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";

/** What has been: the bands, the gaps in them, and the clock below. Moves with time as a whole. */
export function LaneBands({ layout, id }: { readonly layout: LanesLayout; readonly id: string }) {
  const { lanes, ticks, plot, width, height } = layout;
  return (
    <svg class="lanes-layer" width={width} height={height} aria-hidden="true">
      <defs>
        <pattern id={`${id}-unknown`} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <line x1="0" y1="0" x2="0" y2="6" class="hatch" />
        </pattern>
      </defs>
      {ticks.map(({ atMs, x, label }) => (
        <g key={atMs} class="tick">
          <line x1={x} x2={x} y1={plot.top} y2={plot.bottom} />
          <text x={x} y={plot.bottom + 16}>
            {label}
          </text>
        </g>
      ))}
      {lanes.map((lane, index) => (
        <g key={lane.release ?? ""} class={lane.colour} transform={`translate(0 ${lane.middle})`}>
          {lane.band.gaps.map(({ fromX, toX }, index) => (
            <rect
              key={index}
              x={fromX}
              width={toX - fromX}
              y={3 - lane.room / 2}
              height={lane.room - 6}
              fill={`url(#${id}-unknown)`}
            />
          ))}
          <Admits lane={lane} id={`${id}-${index}`} width={width} />
          {lane.band.pieces.map((piece, at) => (
            // By their place: their x is another one with every update.
            <path key={at} class="band" d={outlinePath(piece)} fill={`url(#${id}-${index})`} />
          ))}
        </g>
      ))}
    </svg>
  );
}

/** Solid while the release takes new sessions, tinted while it but finishes its own. */
function Admits({ lane, id, width }: { readonly lane: Lane; readonly id: string; readonly width: number }) {
  const stops = lane.admits.flatMap(({ fromX, toX }) => [
    { x: fromX, name: "finishes" },
    { x: fromX, name: "admits" },
    { x: toX, name: "admits" },
    { x: toX, name: "finishes" },
  ]);
  return (
    <linearGradient id={id} gradientUnits="userSpaceOnUse" x1="0" x2={width}>
      {stops.length === 0 && <stop class="finishes" />}
      {stops.map(({ x, name }, index) => (
        <stop key={index} class={name} offset={Math.max(0, Math.min(1, x / width))} />
      ))}
    </linearGradient>
  );
}

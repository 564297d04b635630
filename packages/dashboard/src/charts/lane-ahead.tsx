import { fanPath } from "./ahead.ts";
import { momentText } from "./clock-text.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";

/** What is foreseen: how releases that take no new sessions empty, when they retire, and what ends them. Moves with time. */
export function LaneAhead({ layout, nowMs }: { readonly layout: LanesLayout; readonly nowMs: number }) {
  return (
    <svg class="lanes-layer" width={layout.width} height={layout.height} aria-hidden="true">
      {layout.lanes.map((lane) => (
        <g key={lane.release ?? ""} class={`lane-${lane.colour}`} transform={`translate(0 ${lane.middle})`}>
          <Foreseen lane={lane} layout={layout} nowMs={nowMs} />
        </g>
      ))}
    </svg>
  );
}

function Foreseen({ lane, layout, nowMs }: { lane: Lane; layout: LanesLayout; nowMs: number }) {
  const { ahead, room } = lane;
  if (ahead.kind !== "fan" && ahead.kind !== "unknown") return null;
  const cap = Math.min(6, room / 4);
  return (
    <>
      {ahead.kind === "fan" && ahead.points.length > 1 && (
        <>
          <path class="fan high" d={fanPath(ahead.points, "high")} />
          <path class="fan low" d={fanPath(ahead.points, "low")} />
          <path class="fan median" d={fanPath(ahead.points, "median")} />
        </>
      )}
      {ahead.kind === "fan" && (
        <g class="retires">
          <path
            d={`M${ahead.retires.lowX} ${-cap}V${cap}M${ahead.retires.lowX} 0H${ahead.retires.highX}M${ahead.retires.highX} ${-cap}V${cap}`}
          />
          <circle cx={ahead.retires.medianX} cy="0" r={Math.min(4, room / 4)} />
          {room >= 34 && ahead.retires.medianX < layout.plot.right - 24 && ahead.retires.medianX > layout.nowX + 48 && (
            <text x={ahead.retires.medianX} y={-cap - 4}>
              {momentText(ahead.retires.medianMs, nowMs)}
            </text>
          )}
        </g>
      )}
      {ahead.ends.map(({ kind, x }) => (
        <path key={kind} class={`end ${kind}`} d={endPath(kind, x, room / 2 - 2)} />
      ))}
    </>
  );
}

/** A deadline is a flag, a hard stop two bars. */
function endPath(kind: "deadline" | "hard-stop", x: number, reach: number): string {
  if (kind === "hard-stop") return `M${x} ${-reach}V${reach}M${x + 3} ${-reach}V${reach}`;
  const flag = Math.min(8, reach);
  return `M${x} ${reach}V${-reach}L${x + flag} ${flag / 2 - reach}L${x} ${flag - reach}`;
}

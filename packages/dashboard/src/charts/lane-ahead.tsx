import { fanPath } from "./ahead.ts";
import { clockText } from "./clock-text.ts";
import type { Lane, LanesLayout } from "./lane-layout.ts";
import { deadlinePath, hardStopPath } from "./glyphs.ts";

/** A lower lane has room for the outlines alone. */
const ROOMY_PX = 34;

/** What is foreseen: how releases that take no new sessions empty, when they retire, and what ends them. Moves with time. */
export function LaneAhead({ layout }: { readonly layout: LanesLayout }) {
  return (
    <svg class="lanes-layer" width={layout.width} height={layout.height} aria-hidden="true">
      {layout.lanes.map((lane) => (
        <g key={lane.release ?? ""} class={lane.colour} transform={`translate(0 ${lane.middle})`}>
          <Foreseen lane={lane} layout={layout} />
        </g>
      ))}
    </svg>
  );
}

function Foreseen({ lane: { ahead, room }, layout }: { readonly lane: Lane; readonly layout: LanesLayout }) {
  if (ahead.kind !== "fan" && ahead.kind !== "unknown") return null;
  return (
    <>
      {ahead.kind === "fan" && ahead.points.length > 1 && (
        <>
          <path class="fan high" d={fanPath(ahead.points, "high")} />
          <path class="fan low" d={fanPath(ahead.points, "low")} />
          {room >= ROOMY_PX && <path class="fan median" d={fanPath(ahead.points, "median")} />}
        </>
      )}
      {ahead.ends.map(({ kind, x }) => {
        const reach = room / 2 - 2;
        return (
          <path key={kind} class={kind} d={kind === "deadline" ? deadlinePath(x, reach) : hardStopPath(x, reach)} />
        );
      })}
      {ahead.kind === "fan" && <Retires ahead={ahead} room={room} layout={layout} />}
    </>
  );
}

interface RetiresProps {
  readonly ahead: Extract<Lane["ahead"], { kind: "fan" }>;
  readonly room: number;
  readonly layout: LanesLayout;
}

/** A bracket over the 80% interval, a ring at the median, and when that is, where there is room to say it. */
function Retires({ ahead: { retires }, room, layout: { nowX, plot } }: RetiresProps) {
  const { lowX, medianX, highX, medianMs } = retires;
  const cap = Math.min(5, room / 4);
  const roomy = room >= ROOMY_PX && medianX < plot.right - 20 && medianX > nowX + 56;
  return (
    <g class="retires">
      <path d={`M${lowX} ${-cap}V${cap}M${lowX} 0H${highX}M${highX} ${-cap}V${cap}`} />
      <circle cx={medianX} cy="0" r={Math.min(4, room / 4)} />
      {roomy && (
        <text x={medianX} y="-9">
          {clockText(medianMs)}
        </text>
      )}
    </g>
  );
}

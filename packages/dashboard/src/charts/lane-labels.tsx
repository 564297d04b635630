import type { Lane, LanesLayout } from "./lane-layout.ts";

/** The name and state of each lane at its left, the live sessions where its band meets now. */
export function LaneLabels({ layout, stale }: { readonly layout: LanesLayout; readonly stale: boolean }) {
  return (
    <>
      {layout.lanes.map((lane) => (
        <Label key={lane.release ?? ""} lane={lane} layout={layout} stale={stale} />
      ))}
    </>
  );
}

function Label({ lane, layout, stale }: { lane: Lane; layout: LanesLayout; stale: boolean }) {
  const { release, folded, colour, state, percent, top, room, middle, live } = lane;
  const over = state === "retired" || state === "failed";
  const height = layout.narrow ? lane.height - room : lane.height;
  const known = live !== null && !stale;
  return (
    <>
      <div
        class={`lanes-label lane-${colour}${height < 34 ? " short" : ""}`}
        style={{ top: `${top}px`, height: `${height}px`, width: layout.narrow ? "100%" : `${layout.plot.left}px` }}
        title={release ?? folded.join(", ")}
      >
        <i />
        <span class="lanes-name">{release ?? `${folded.length} gone releases`}</span>
        <span class="lanes-state">{state === "ramping" ? `ramping ${percent}%` : state}</span>
      </div>
      {!over && (
        <span
          class={known ? "lanes-count" : "lanes-count unknown"}
          style={{ left: `${layout.nowX + 10}px`, top: `${middle}px` }}
          title={known ? `${live} live sessions` : "Live sessions are not known now"}
        >
          {known ? live : "?"}
        </span>
      )}
    </>
  );
}

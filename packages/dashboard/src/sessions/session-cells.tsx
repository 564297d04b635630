import type { LiveSessionView, ServiceView } from "@holdover/control/api";
import { Age } from "../parts/figure.tsx";
import { laneClass } from "../parts/lane.ts";
import { fragmentOf } from "../route.ts";
import { number } from "../words/figures.ts";

interface SessionCellsProps {
  readonly session: LiveSessionView;
  readonly releases: ServiceView["releases"];
}

/** One live session as a row of the table. */
export function SessionCells({ session, releases }: SessionCellsProps) {
  const { service, key, release, state, openedAtMs, connections, fence, label, wedgedSinceMs } = session;
  return (
    <>
      <span role="rowheader" class="session-key">
        <a href={fragmentOf({ view: "session", service, key })} title={key}>
          <bdi>{key}</bdi>
        </a>
      </span>
      <span role="cell" class={`session-release ${laneClass(releases, release)}`} title={release}>
        <i class="swatch" aria-hidden="true" />
        <bdi>{release}</bdi>
      </span>
      <span role="cell" class={wedgedSinceMs === null ? (state === "open" ? "" : "quiet") : "warn"}>
        {wedgedSinceMs === null ? state : "wedged"}
      </span>
      <span role="cell">
        <Age sinceMs={openedAtMs} />
      </span>
      <span role="cell" class="session-connections">
        {number(connections)}
      </span>
      <span role="cell" class="session-fence">
        {fence}
      </span>
      <span role="cell" class="session-label quiet">
        {label}
      </span>
    </>
  );
}

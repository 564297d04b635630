import type { ServiceView, TimelineView } from "@holdover/control/api";
import type { LanesLayout } from "./lane-layout.ts";
import { momentText } from "./clock-text.ts";
import { eventText, storyOf } from "./lane-story.ts";

interface LaneTableProps {
  readonly service: ServiceView;
  readonly timeline: TimelineView;
  readonly layout: LanesLayout;
}

/** The lanes for whoever cannot see them. */
export function LaneTable({ service, timeline, layout }: LaneTableProps) {
  const shown = new Set(layout.lanes.flatMap(({ release, folded }) => release ?? folded));
  const said = (atMs: number | null | undefined) => (atMs == null ? "–" : momentText(atMs, timeline.nowMs));
  return (
    <div class="hidden">
      <table>
        <caption>Releases now</caption>
        <thead>
          <tr>
            <th scope="col">Release</th>
            <th scope="col">State</th>
            <th scope="col">Live sessions</th>
            <th scope="col">Expected to retire</th>
            <th scope="col">Deadline</th>
          </tr>
        </thead>
        <tbody>
          {service.releases
            .filter(({ id }) => shown.has(id))
            .toReversed()
            .map(({ id, state, sessions, retention }) => (
              <tr key={id}>
                <th scope="row">{id}</th>
                <td>{state}</td>
                <td>{sessions ? sessions.open + sessions.lingering : "not known"}</td>
                <td>{said(retention?.retires?.medianMs)}</td>
                <td>{said(retention?.deadlineMs)}</td>
              </tr>
            ))}
        </tbody>
      </table>
      <table>
        <caption>What happened, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">What</th>
            <th scope="col">By</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {storyOf(timeline.marks, service.releases)
            .toReversed()
            .map((event) => (
              <tr key={event.seq}>
                <td>{momentText(event.atMs, timeline.nowMs, true)}</td>
                <td>{eventText(event)}</td>
                <td>{event.actor}</td>
                <td>{event.reason}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  );
}

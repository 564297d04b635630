import type { AgesView, ServiceView } from "@holdover/control/api";
import { counted, number } from "../words/figures.ts";
import { MEANINGS } from "../words/meanings.ts";
import { useFirst } from "./show-more.tsx";
import { type AgeBars, ageBars } from "./age-bars.ts";

export interface AgesProps {
  /** undefined: there are none yet. */
  readonly ages: AgesView | undefined;
  /** For the colours and for how many sessions are wedged. */
  readonly service: Pick<ServiceView, "releases">;
}

const MOST_SHOWN = 8;

/** How old the open sessions of each release are: one small picture a release, all on the same scale of shares. */
export function Ages({ ages, service }: AgesProps) {
  const releases = ages ? ageBars(ages, service) : [];
  const [shown, more] = useFirst(releases, MOST_SHOWN, "release");
  if (!ages) return <p class="chart-none">Waiting for the first numbers…</p>;
  if (releases.length === 0) return <p class="chart-none">No release has a live session.</p>;
  return (
    <>
      <div class="ages">
        {shown.map((release) => (
          <ReleaseAges key={release.release} {...release} />
        ))}
      </div>
      {more}
    </>
  );
}

function ReleaseAges({ release, colour, state, open, lingering, wedged, bars }: AgeBars) {
  return (
    <div class={`ages-release ${colour}`} role="group" aria-label={`Ages of the sessions of ${release}`}>
      <header>
        <span class="ages-name" title={release}>
          {release}
        </span>{" "}
        <span class="ages-state">{state}</span>
        <span class="ages-counts">
          {number(open)} open{lingering > 0 && `, ${number(lingering)} lingering`}
          {wedged > 0 && <strong title={MEANINGS.wedged}> · {counted(wedged, "wedged", "wedged")}</strong>}
        </span>
      </header>
      <table>
        <tbody>
          <tr>
            {bars.map(({ label, sessions, height }) => (
              <td key={label}>
                <b class={sessions === 0 ? "zero" : undefined}>{number(sessions)}</b>
                <i style={{ height: `${Math.round(height * 48)}px` }} />
              </td>
            ))}
          </tr>
        </tbody>
        <tfoot>
          <tr>
            {bars.map(({ label }) => (
              <th key={label} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

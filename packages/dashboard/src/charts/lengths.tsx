import type { LengthsDetailView, ServiceView } from "@holdover/control/api";
import { useMemo } from "preact/hooks";
import { laneClass } from "../parts/lane.ts";
import { duration, number } from "../words/figures.ts";
import { DriftChart } from "./drift-chart.tsx";
import { LengthChart } from "./length-chart.tsx";
import { lengthCurves } from "./length-curves.ts";
import { useFirst } from "./show-more.tsx";

export interface LengthsProps {
  /** undefined: there are none yet. */
  readonly lengths: LengthsDetailView | undefined;
  /** For the colours. */
  readonly service: Pick<ServiceView, "releases">;
}

const MOST_SHOWN = 8;

/** How long sessions last, how much longer what is live now will, and how that has changed from day to day. */
export function Lengths({ lengths, service }: LengthsProps) {
  const curves = useMemo(() => lengths && lengthCurves(lengths), [lengths]);
  if (!lengths) return <p class="chart-none">Waiting for the first numbers…</p>;
  if (!lengths.known || !curves) {
    return <p class="chart-none">How long sessions last is not known yet: {lengths.why}.</p>;
  }
  return (
    <div class="lengths">
      <div>
        <LengthChart {...{ lengths, curves, service }} />
      </div>
      <div>
        <h4>By the day on which they ended</h4>
        <DriftChart days={lengths.days} />
        <DriftTable days={lengths.days} />
        <Numbers lengths={lengths} service={service} />
        <p>
          What is live now lasts longer than the average session: at any moment a long session is likelier to be there
          than a short one. So a window as long as P95 of all lengths would cut more than 5% of it.
        </p>
      </div>
    </div>
  );
}

/** The chart of days for whoever cannot see it. */
function DriftTable({ days }: Pick<LengthsDetailView, "days">) {
  return (
    <div class="hidden">
      <table>
        <caption>Session lengths by the day on which they ended</caption>
        <thead>
          <tr>
            <th scope="col">Day (UTC)</th>
            <th scope="col">Ended</th>
            <th scope="col">P50</th>
            <th scope="col">P95</th>
            <th scope="col">P99</th>
          </tr>
        </thead>
        <tbody>
          {days.map(({ dayMs, ends, p50Ms, p95Ms, p99Ms }) => (
            <tr key={dayMs}>
              <th scope="row">{new Date(dayMs).toISOString().slice(0, 10)}</th>
              <td>{number(ends)}</td>
              <td>{said(p50Ms)}</td>
              <td>{said(p95Ms)}</td>
              <td>{said(p99Ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The curves in numbers, and whose they are. */
function Numbers({
  lengths,
  service,
}: {
  readonly lengths: LengthsDetailView;
  readonly service: LengthsProps["service"];
}) {
  const [shown, more] = useFirst(lengths.residual.toReversed(), MOST_SHOWN, "release");
  return (
    <>
      <table class="lengths-numbers">
        <caption class="hidden">How long sessions last, and how much longer what is live now will</caption>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">of</span>
            </th>
            <th scope="col">live</th>
            <th scope="col">half end by</th>
            <th scope="col">95% by</th>
            <th scope="col">99% by</th>
          </tr>
        </thead>
        <tbody>
          <tr class="lane-0">
            <th scope="row">
              <i />
              all
            </th>
            <td />
            <td>{said(lengths.p50Ms)}</td>
            <td>{said(lengths.p95Ms)}</td>
            <td>{said(lengths.p99Ms)}</td>
          </tr>
          {shown.map(({ release, sessions, known, p50Ms, p95Ms, p99Ms }) => (
            <tr key={release} class={laneClass(service.releases, release)}>
              <th scope="row" title={release}>
                <i />
                {release}
              </th>
              <td>{number(sessions)}</td>
              <td>{said(p50Ms)}</td>
              <td>{said(p95Ms, known)}</td>
              <td>{said(p99Ms, known)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more}
    </>
  );
}

/** @param known whether lengths like this were ever seen; where not, it is a guess and says so */
function said(ms: number | null, known = true): string {
  if (ms === null) return "–";
  return known ? duration(ms) : `~${duration(ms)}`;
}

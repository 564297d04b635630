import type { LengthsDetailView, ServiceView } from "@holdover/control/api";
import { useEffect, useMemo, useState } from "preact/hooks";
import { laneClass } from "../parts/lane.ts";
import { shownTheme } from "../theme.ts";
import { counted, duration, number } from "../words/figures.ts";
import { type LengthCurves, lengthCurves } from "./length-curves.ts";
import { useFirst } from "./show-more.tsx";
import { useWidth } from "./width.ts";

export interface LengthsProps {
  /** undefined: there are none yet. */
  readonly lengths: LengthsDetailView | undefined;
  /** For the colours. */
  readonly service: Pick<ServiceView, "releases">;
}

const MOST_SHOWN = 8;

/** How long sessions last, how much longer what is live now will, and how that has changed from day to day. */
export function Lengths({ lengths, service }: LengthsProps) {
  const plots = usePlots();
  const curves = useMemo(() => lengths && lengthCurves(lengths), [lengths]);
  if (!lengths) return <p class="chart-none">Waiting for the first numbers…</p>;
  if (!lengths.known || !curves)
    return <p class="chart-none">How long sessions last is not known yet: {lengths.why}.</p>;
  return (
    <div class="lengths">
      <div class="lengths-main">
        <Curves {...{ lengths, curves, service, plots }} />
      </div>
      <div class="lengths-side">
        <h4>By the day on which they ended</h4>
        <Drift lengths={lengths} plots={plots} />
        <Numbers lengths={lengths} service={service} />
        <p class="lengths-why">
          What is live now lasts longer than the average session: at any moment a long session is likelier to be there
          than a short one. So a window as long as P95 of all lengths would cut more than 5% of it.
        </p>
      </div>
    </div>
  );
}

/** The charts are fetched when they are first to be shown. */
function usePlots() {
  const [plots, setPlots] = useState<Plots>();
  useEffect(() => {
    let shown = true;
    void fetchPlots().then((fetched) => {
      if (shown) setPlots(fetched);
    });
    return () => {
      shown = false;
    };
  }, []);
  return plots;
}

type Plots = Awaited<ReturnType<typeof fetchPlots>>;

async function fetchPlots() {
  const { drawCurves, drawDrift } = await import("./length-plots.ts");
  return { drawCurves, drawDrift };
}

interface CurvesProps {
  readonly lengths: LengthsDetailView;
  readonly curves: LengthCurves;
  readonly service: LengthsProps["service"];
  readonly plots: Plots | undefined;
}

function Curves({ lengths, curves, service, plots }: CurvesProps) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [looked, onLook] = useState<number | null>(null);
  const theme = shownTheme.value;
  useEffect(() => {
    const element = ref.current;
    if (!element || !plots || width === 0) return undefined;
    const quantiles = quantilesOf(lengths).map(({ name, ms }) => ({ name: `${name} ${duration(ms)}`, ms }));
    const colours = curves.residual.map(({ release }) => laneClass(service.releases, release));
    return plots.drawCurves({ element, width, curves, colours, quantiles, onLook });
  }, [plots, width, curves, theme]);
  return (
    <figure class="lengths-curves">
      <figcaption>
        <h4>Share of sessions that last longer than a time</h4>
        <p>
          {looked === null
            ? `Of all sessions, above: ${counted(lengths.ends, "ended session")}. Of what is live now, below, from now on.`
            : lookText(looked, curves)}
        </p>
      </figcaption>
      <div ref={ref} class="lengths-plots" aria-hidden="true" />
    </figure>
  );
}

function lookText(index: number, { x, all, residual }: LengthCurves): string {
  const percent = (share: number | null | undefined) => (share == null ? "?" : `${Math.round(100 * share)}%`);
  const lives = residual.map(({ release, shares }) => `${release} ${percent(shares[index])}`);
  return [`After ${duration(10 ** (x[index] ?? 0))}: all ${percent(all[index])}`, ...lives].join(", ");
}

function Drift({ lengths, plots }: { readonly lengths: LengthsDetailView; readonly plots: Plots | undefined }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const theme = shownTheme.value;
  const { days } = lengths;
  const drawn = days.some(({ p50Ms }) => p50Ms !== null);
  useEffect(() => {
    const element = ref.current;
    return element && plots && width > 0 && drawn ? plots.drawDrift({ element, width }, days) : undefined;
  }, [plots, width, days, theme]);
  return (
    <>
      <div ref={ref} class="lengths-drift" aria-hidden="true" />
      <table class="hidden">
        <caption>Session lengths by the day on which they ended</caption>
        <thead>
          <tr>
            <th scope="col">Day</th>
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
    </>
  );
}

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

function quantilesOf({ p50Ms, p95Ms, p99Ms }: LengthsDetailView): { name: string; ms: number }[] {
  return [
    { name: "P50", ms: p50Ms },
    { name: "P95", ms: p95Ms },
    { name: "P99", ms: p99Ms },
  ].flatMap(({ name, ms }) => (ms === null || ms <= 0 ? [] : { name, ms }));
}

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { LANE_RANGES, type LaneRangeMs, Lanes } from "../src/charts/lanes.tsx";
import { Ages } from "../src/charts/ages.tsx";
import { Lengths } from "../src/charts/lengths.tsx";
import { madeAges, madeLengths, type Situation, SITUATIONS } from "./situations.ts";

const query = new URLSearchParams(location.search);
document.documentElement.dataset["theme"] = query.get("theme") ?? "light";

function Shown({ situation, at }: { situation: Situation; at: number }) {
  const [nowMs, setNow] = useState(Date.now());
  const [rangeMs, setRange] = useState<LaneRangeMs>((LANE_RANGES[at] ?? LANE_RANGES[1]).ms);
  const [lengths] = useState(() => madeLengths(situation.service.releases, nowMs));
  const [ages] = useState(() => madeAges(situation.service.releases, nowMs));
  const [data, setData] = useState(() => ({
    timeline: situation.timeline(nowMs, rangeMs),
    forecasts: situation.forecasts(nowMs),
  }));
  useEffect(() => {
    setData({ timeline: situation.timeline(Date.now(), rangeMs), forecasts: situation.forecasts(nowMs) });
  }, [rangeMs]);
  useEffect(() => {
    let n = 0;
    const timer = setInterval(() => {
      setNow(Date.now());
      if (++n % 3 === 0 && !query.has("still"))
        setData({ timeline: situation.timeline(Date.now(), rangeMs), forecasts: situation.forecasts(nowMs) });
    }, 1000);
    return () => clearInterval(timer);
  }, [rangeMs]);
  return (
    <section>
      <h2>{situation.name}</h2>
      <Lanes {...data} service={situation.service} nowMs={nowMs} rangeMs={rangeMs} onRange={setRange} />
      <h3>Session lengths</h3>
      <Lengths lengths={lengths} service={situation.service} />
      <h3>Ages of open sessions</h3>
      <Ages ages={ages} service={situation.service} />
    </section>
  );
}

const only = query.get("only");
const ranges: Record<string, number> = { "heavy tail": 2, "50 releases": 3 };
render(
  <main>
    <h1>Gallery</h1>
    {SITUATIONS.filter(({ name }) => !only || name === only).map((situation) => (
      <Shown
        key={situation.name}
        situation={situation}
        at={Number(query.get("range") ?? ranges[situation.name] ?? 1)}
      />
    ))}
  </main>,
  document.querySelector("#page")!,
);

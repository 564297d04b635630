import { render } from "preact";
import { Ages } from "../src/charts/ages.tsx";
import { Lanes } from "../src/charts/lanes.tsx";
import { Lengths } from "../src/charts/lengths.tsx";
import { madeAges, madeLengths } from "./made-lengths.ts";
import { type Situation, situations } from "./situations.ts";

/**
 * Every picture in every situation that it has to stand, made up and moving: `npx vite packages/dashboard`, and then
 * `/gallery/index.html`, with `?theme=dark` for the other theme, `?only=rollback` for one situation,
 * `?pictures=lanes` for the lanes alone.
 */

const query = new URLSearchParams(location.search);
document.documentElement.dataset["theme"] = query.get("theme") ?? "light";
const all = query.get("pictures") !== "lanes";
const only = query.get("only") ?? "";
const shown = situations(Date.now())
  .filter(({ name }) => only === "" || name === only)
  .map((situation) => {
    const nowMs = Date.now();
    const { service } = situation;
    return { situation, lengths: madeLengths(service, nowMs), ages: madeAges(service, nowMs) };
  });
const ranges = new Map<Situation, Situation["rangeMs"]>();
const page = document.querySelector("#page");

function draw(): void {
  if (!page) return;
  const nowMs = Date.now();
  const sections = shown.map(({ situation, lengths, ages }) => {
    const { name, service, forecasts, timeline } = situation;
    const rangeMs = ranges.get(situation) ?? situation.rangeMs;
    const onRange = (rangeMs: Situation["rangeMs"]) => {
      ranges.set(situation, rangeMs);
      draw();
    };
    return (
      <section key={name}>
        <h2>{name}</h2>
        <Lanes {...{ service, forecasts, nowMs, rangeMs, onRange }} timeline={timeline(nowMs, rangeMs)} />
        {all && (
          <>
            <h3>Session lengths</h3>
            <Lengths lengths={lengths} service={service} />
            <h3>Ages of open sessions</h3>
            <Ages ages={ages} service={service} />
          </>
        )}
      </section>
    );
  });
  performance.mark("draw");
  render(
    <main class="gallery">
      <h1>Gallery</h1>
      {sections}
    </main>,
    page,
  );
  performance.measure("drawn", "draw");
}

draw();
setInterval(draw, 1000);

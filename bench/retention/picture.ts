import { formatDuration, type WindowPolicy } from "@holdover/core";
import { type PolicyOutcome, simulateRetention, type Trace } from "@holdover/simulator";
import { SHAPES, traceOf } from "../../packages/simulator/src/trace-fixture.ts";

/**
 * Why P95 of session lengths is the wrong window, drawn from sessions that nobody had: 14,000 talks in ten days, log-normal,
 * fixed seed, so that the picture may be published and comes out the same each time.
 */

const HOUR_MS = 3_600_000;
const SEED = 7;
const QUANTILE = 0.95;
const BUDGET = 0.05;
const WIDTH = 820;
const LEFT = 56;
const PLOT = WIDTH - LEFT - 20;
const CURVES = { top: 44, height: 220, untilMs: 6 * HOUR_MS };
const BARS = [
  { top: 356, height: 90, title: "Cut by a window of P95, deploy by deploy" },
  { top: 506, height: 90, title: "Cut by policy budget at 5%, deploy by deploy" },
] as const;
const HEIGHT = 650;

export function windowsPicture(): string {
  const talks = traceOf(SHAPES.lognormal, SEED);
  const lengths = talks.durationMs.toSorted();
  const p95 = lengths[Math.floor(QUANTILE * lengths.length)] ?? 0;
  const policies: WindowPolicy[] = [
    { policy: "quantile", quantile: QUANTILE, factor: 1, floor: 0, ceiling: 24 * HOUR_MS },
    { policy: "budget", disruptionBudget: BUDGET, floor: 0, ceiling: 24 * HOUR_MS },
  ];
  const outcomes = simulateRetention({
    sessions: talks,
    every: 2 * HOUR_MS,
    policies,
    disruptionBudget: BUDGET,
    seed: SEED,
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="How long sessions last against how long those live at a cutover still last, and what two policies cut">`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`,
    ...curves(talks, p95),
    ...BARS.flatMap((place, index) => bars(outcomes[index], place)),
    "</svg>\n",
  ].join("\n");
}

/** The share of all sessions that last longer than a time. */
function longerThan(trace: Trace, ms: number): number {
  return trace.durationMs.reduce((count, length) => count + (length > ms ? 1 : 0), 0) / trace.durationMs.length;
}

/**
 * The share of the sessions met at a random moment that still last longer than a time: a session is met for as long as it
 * lasts, and meets the condition for what it lasts longer. (The residual life of a renewal process.)
 */
function leftAfter(trace: Trace, ms: number): number {
  let met = 0;
  let longer = 0;
  for (const length of trace.durationMs) {
    met += length;
    longer += Math.max(0, length - ms);
  }
  return longer / met;
}

function curves(talks: Trace, p95: number): string[] {
  const { top, height, untilMs } = CURVES;
  const x = (ms: number) => LEFT + (ms / untilMs) * PLOT;
  const y = (share: number) => top + height * (1 - share);
  const path = (name: string, of: (ms: number) => number) => {
    const points = Array.from({ length: 181 }, (_, index) => (index * untilMs) / 180);
    return `<polyline class="${name}" points="${points.map((ms) => `${n(x(ms))},${n(y(of(ms)))}`).join(" ")}"/>`;
  };
  const all = longerThan(talks, p95);
  const left = leftAfter(talks, p95);
  const parts = [heading(top - 22, "Longer than the window: of all sessions, and of those live at a cutover")];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) parts.push(grid(y(share), `${share * 100}%`));
  for (let ms = 0; ms <= untilMs; ms += HOUR_MS) {
    parts.push(label("middle", x(ms), top + height + 16, ms === 0 ? "0" : formatDuration(ms)));
  }
  const beside = x(p95) + 10;
  parts.push(
    label("middle", LEFT + PLOT / 2, top + height + 34, "time since the cutover, or window"),
    path("all", (ms) => longerThan(talks, ms)),
    path("left", (ms) => leftAfter(talks, ms)),
    `<line class="mark" x1="${n(x(p95))}" y1="${top}" x2="${n(x(p95))}" y2="${top + height}"/>`,
    label("ink", beside, top + 14, `P95 of session lengths: ${formatDuration(p95)}`),
    `<circle class="dot left-dot" cx="${n(x(p95))}" cy="${n(y(left))}" r="4"/>`,
    label(
      "left-text",
      beside,
      top + 34,
      `${percent(left)} of those live at a cutover still last longer: they would be cut`,
    ),
    `<circle class="dot all-dot" cx="${n(x(p95))}" cy="${n(y(all))}" r="4"/>`,
    label("all-text", beside, top + 54, `${percent(all)} of all sessions last longer`),
  );
  return parts;
}

function bars(outcome: PolicyOutcome | undefined, place: (typeof BARS)[number]): string[] {
  if (!outcome) return [];
  const { top, height, title } = place;
  const { releases, meanCut, worstCut, overBudget, deploys } = outcome;
  const most = 0.5;
  const y = (share: number) => top + height * (1 - Math.min(share, most) / most);
  const width = PLOT / Math.max(1, releases.length);
  const told = `mean ${percent(meanCut)}, worst ${percent(worstCut)}, over 5% in ${overBudget} of ${deploys} deploys`;
  const parts = [heading(top - 16, `${title}: ${told}`)];
  for (const share of [0, 0.25, 0.5]) parts.push(grid(y(share), `${share * 100}%`));
  for (const [index, { cut, live }] of releases.entries()) {
    const share = cut / live;
    const name = cut > Math.floor(BUDGET * live + 1e-9) ? "bar over" : "bar";
    const place = `x="${n(LEFT + index * width + 0.5)}" y="${n(y(share))}" width="${n(Math.max(1, width - 1))}"`;
    parts.push(`<rect class="${name}" ${place} height="${n(top + height - y(share))}"/>`);
  }
  const line = y(BUDGET);
  parts.push(
    `<line class="mark" x1="${LEFT}" y1="${n(line)}" x2="${LEFT + PLOT}" y2="${n(line)}"/>`,
    label("middle", LEFT + PLOT / 2, top + height + 18, `deploys, one every 2h; the line is 5%`),
  );
  return parts;
}

function heading(y: number, text: string): string {
  return `<text class="heading" x="12" y="${y}">${text}</text>`;
}

function grid(y: number, text: string): string {
  return `<line class="grid" x1="${LEFT}" y1="${n(y)}" x2="${LEFT + PLOT}" y2="${n(y)}"/>${label("end", LEFT - 6, y + 4, text)}`;
}

function label(name: string, x: number, y: number, text: string): string {
  return `<text class="label ${name}" x="${n(x)}" y="${n(y)}">${text}</text>`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

const STYLE = `
.paper { fill: #ffffff; } .grid { stroke: #e2e6ec; } .label { fill: #5d6777; font: 12px system-ui, sans-serif; }
.heading { fill: #1c2330; font: 600 13px system-ui, sans-serif; } .middle { text-anchor: middle; } .end { text-anchor: end; }
.ink { fill: #1c2330; } .all, .left { fill: none; stroke-width: 2; } .all { stroke: #2463c4; } .left { stroke: #c62f2f; }
.all-dot, .all-text { fill: #2463c4; } .left-dot, .left-text { fill: #c62f2f; }
.mark { stroke: #1c2330; stroke-dasharray: 4 3; } .bar { fill: #2463c4; } .over { fill: #c62f2f; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #12161d; } .grid { stroke: #2b3340; } .label { fill: #9aa5b5; } .heading, .ink { fill: #e6e9ef; }
  .all { stroke: #7fb0ff; } .left { stroke: #ff7a70; } .all-dot, .all-text { fill: #7fb0ff; }
  .left-dot, .left-text { fill: #ff7a70; } .mark { stroke: #e6e9ef; } .bar { fill: #7fb0ff; } .over { fill: #ff7a70; }
}
`;

import { createHash } from "node:crypto";
import type { PolicyOutcome } from "@holdover/simulator";
import { policyText } from "../policy-option.ts";
import { axesOf, type Axes, deploysPerMark, escaped, policyPicture } from "./simulation-picture.ts";
import { budgetNote, type Simulation, simulationTitle, SUMMARY } from "./simulation-table.ts";
import { printable } from "./table.ts";

/** A page that stands for itself: no script, nothing from elsewhere, and nothing in it that could bring either in. */
export function simulationPage(simulation: Simulation): string {
  const { outcomes, notes, spanMs } = simulation;
  const title = shown(simulationTitle(simulation));
  const axes = axesOf(outcomes, spanMs);
  // The one style there is, by its hash: one that got in by another way would not be taken.
  const hash = createHash("sha256").update(STYLE).digest("base64");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Retention policies: ${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Retention policies</h1>
<p>${title}.</p>
${notes.length === 0 ? "" : `<ul>${notes.map((note) => `<li>${shown(note)}</li>`).join("")}</ul>\n`}${summary(outcomes)}
<p class="small">${shown(budgetNote(simulation))}</p>
${LEGEND}
${outcomes.map((outcome) => section(outcome, axes)).join("\n")}
</main>
</body>
</html>
`;
}

function summary(outcomes: readonly PolicyOutcome[]): string {
  const head = SUMMARY.map(({ title, meaning }) => `<th scope="col" title="${shown(meaning)}">${shown(title)}</th>`);
  const rows = outcomes.map((outcome) => {
    const cells = SUMMARY.map(({ title, of }, index) => {
      const text = shown(of(outcome));
      if (index === 0) return `<th scope="row">${text}</th>`;
      return title === "OVER" && outcome.overBudget > 0 ? `<td class="bad">${text}</td>` : `<td>${text}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  const meanings = SUMMARY.slice(1).map(({ title, meaning }) => `<dt>${shown(title)}</dt><dd>${shown(meaning)}</dd>`);
  return `<div class="scroll"><table>
<thead><tr>${head.join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table></div>
<details><summary>What the columns mean</summary><dl>${meanings.join("")}</dl></details>`;
}

function section(outcome: PolicyOutcome, axes: Axes): string {
  const many = deploysPerMark(outcome.releases.length);
  const marks =
    many === 1
      ? ""
      : `<p class="small">Each mark stands for ${many} deploys in a row and shows the one that cut most.</p>\n`;
  const drawn = outcome.releases.length === 0 ? "<p>No deploy met a live session.</p>" : policyPicture(outcome, axes);
  return `<section>
<h2>${shown(policyText(outcome.policy))}</h2>
${marks}${drawn}
</section>`;
}

function shown(text: string): string {
  return escaped(printable(text));
}

const LEGEND = `<svg class="legend" viewBox="0 0 960 26" role="img" aria-label="Legend">
<circle class="window" cx="10" cy="13" r="3"/><text class="label" x="20" y="17">window</text>
<g class="over"><circle class="window" cx="88" cy="13" r="3"/><rect class="cut" x="96" y="6" width="5" height="14"/></g>
<text class="label" x="108" y="17">cut more than the budget</text>
<line class="best" x1="276" y1="13" x2="288" y2="13"/>
<text class="label" x="294" y="17">shortest window that keeps the budget</text>
<rect class="interval" x="548" y="4" width="5" height="18"/>
<text class="label" x="560" y="17">80% interval of the forecast</text>
<line class="budget" x1="752" y1="13" x2="776" y2="13"/><text class="label" x="782" y="17">budget</text>
</svg>`;

const STYLE = `
:root { --ink: #1c2330; --faint: #5d6777; --grid: #e2e6ec; --paper: #ffffff; --window: #2463c4; --band: #a9c4ee;
  --best: #1c2330; --bad: #c62f2f; --cut: #e0a458; --hover: #2463c41a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --faint: #9aa5b5; --grid: #2b3340; --paper: #12161d; --window: #7fb0ff; --band: #34507f;
    --best: #e6e9ef; --bad: #ff7a70; --cut: #c98f45; --hover: #7fb0ff26; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font: 600 15px/1.4 ui-monospace, monospace; margin: 28px 0 4px; }
p, ul { margin: 0 0 12px; }
.small, details { color: var(--faint); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; }
dd { margin: 0; }
.scroll { overflow-x: auto; margin: 16px 0 8px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--grid); }
thead th { color: var(--faint); font-weight: 600; cursor: help; }
tbody th, thead th:first-child { text-align: left; }
tbody th { font-family: ui-monospace, monospace; font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
.legend { margin-top: 20px; }
.label { fill: var(--faint); font-size: 12px; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: var(--grid); }
.tick { stroke: var(--faint); }
.hit { fill: transparent; }
.deploy:hover .hit { fill: var(--hover); }
.interval { fill: var(--band); }
.stem { stroke: var(--window); stroke-width: 1; }
.best { stroke: var(--best); stroke-width: 1.5; }
.window { fill: var(--window); }
.cut { fill: var(--cut); }
.budget { stroke: var(--bad); stroke-dasharray: 4 3; }
.over .window, .over .cut { fill: var(--bad); }
.over .stem { stroke: var(--bad); }
`;

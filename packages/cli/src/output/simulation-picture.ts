import { formatDuration } from "@holdover/core";
import type { PolicyOutcome, ReleaseOutcome } from "@holdover/simulator";
import { policyText } from "../policy-option.ts";
import { percent } from "./simulation-table.ts";

/** The drawing of one policy: the window of each deploy over time, and under it the share that was cut. As an SVG element. */

const WIDTH = 960;
const LEFT = 64;
const RIGHT = 12;
const TOP = 10;
const WINDOW_HEIGHT = 150;
const GAP = 26;
const CUT_HEIGHT = 56;
const FOOT = 40;
const PLOT = WIDTH - LEFT - RIGHT;
const HEIGHT = TOP + WINDOW_HEIGHT + GAP + CUT_HEIGHT + FOOT;
const CUT_TOP = TOP + WINDOW_HEIGHT + GAP;
/** More marks than this lie on each other. */
const MOST_MARKS = 400;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WINDOW_TICKS = [
  ...[1, 5, 15].map((many) => many * SECOND_MS),
  ...[1, 5, 15].map((many) => many * MINUTE_MS),
  ...[1, 3, 8].map((many) => many * HOUR_MS),
  ...[1, 3, 7, 30].map((many) => many * DAY_MS),
];
const TIME_STEPS = [
  ...[1, 5, 15, 30].map((many) => many * SECOND_MS),
  ...[1, 5, 15, 30].map((many) => many * MINUTE_MS),
  ...[1, 2, 6, 12].map((many) => many * HOUR_MS),
  ...[1, 2, 7, 14, 30, 90, 365].map((many) => many * DAY_MS),
];

/** The axes that all policies of a page share, so that they can be compared by eye. */
export interface Axes {
  readonly spanMs: number;
  readonly leastMs: number;
  readonly mostMs: number;
}

export function axesOf(outcomes: readonly PolicyOutcome[], spanMs: number): Axes {
  let least = Infinity;
  let most = SECOND_MS;
  for (const { releases } of outcomes) {
    for (const { windowMs, clairvoyantMs } of releases) {
      least = Math.min(least, Math.max(SECOND_MS, Math.min(windowMs, clairvoyantMs)));
      most = Math.max(most, windowMs, clairvoyantMs);
    }
  }
  const leastMs = WINDOW_TICKS.findLast((tick) => tick <= least) ?? SECOND_MS;
  const mostMs = WINDOW_TICKS.find((tick) => tick >= most && tick > leastMs) ?? Math.max(most, 2 * leastMs);
  return { spanMs, leastMs, mostMs };
}

/** How many deploys one mark stands for. */
export function deploysPerMark(deploys: number): number {
  return Math.max(1, Math.ceil(deploys / MOST_MARKS));
}

export function policyPicture(outcome: PolicyOutcome, axes: Axes): string {
  const x = (ms: number) => LEFT + (axes.spanMs > 0 ? ms / axes.spanMs : 0) * PLOT;
  const y = (ms: number) => {
    const share = Math.log(Math.max(axes.leastMs, ms) / axes.leastMs) / Math.log(axes.mostMs / axes.leastMs);
    return TOP + WINDOW_HEIGHT * (1 - Math.min(1, share));
  };
  const marks = marksOf(outcome.releases);
  const column = Math.min(24, PLOT / Math.max(1, marks.length));
  const label = `Policy ${policyText(outcome.policy)}: window of each deploy, and share of its live sessions that was cut`;
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(label)}">`,
    ...windowAxis(axes, y),
    ...cutAxis(outcome.budget),
    ...timeAxis(axes, x),
    ...marks.map((release) => mark(release, outcome.budget, { x: x(release.cutoverMs), y, column })),
    "</svg>",
  ].join("\n");
}

/** Of deploys that fall on one mark, the one that cut most; of these the one with the longest window. */
function marksOf(releases: readonly ReleaseOutcome[]): ReleaseOutcome[] {
  const many = deploysPerMark(releases.length);
  const marks: ReleaseOutcome[] = [];
  for (const [index, release] of releases.entries()) {
    const shown = marks.at(-1);
    if (!shown || index % many === 0) marks.push(release);
    else if (worseThan(release, shown)) marks[marks.length - 1] = release;
  }
  return marks;
}

function worseThan(a: ReleaseOutcome, b: ReleaseOutcome): boolean {
  const more = a.cut / a.live - b.cut / b.live;
  return more > 0 || (more === 0 && a.windowMs > b.windowMs);
}

function mark(
  release: ReleaseOutcome,
  budget: number,
  place: { readonly x: number; readonly y: (ms: number) => number; readonly column: number },
): string {
  const { x, y, column } = place;
  const { windowMs, clairvoyantMs, cut, live, forecast } = release;
  const share = cut / live;
  const over = cut > Math.floor(budget * live + 1e-9);
  const half = Math.max(1, Math.min(6, column * 0.4));
  const parts = [
    `<g class="${over ? "deploy over" : "deploy"}"><title>${escaped(titleOf(release))}</title>`,
    `<rect class="hit" x="${n(x - column / 2)}" y="${TOP}" width="${n(column)}" height="${CUT_TOP + CUT_HEIGHT - TOP}"/>`,
  ];
  if (forecast) {
    const [top, bottom] = [y(forecast.highMs), y(forecast.lowMs)];
    const height = Math.max(0.5, bottom - top);
    parts.push(
      `<rect class="interval" x="${n(x - half / 2)}" y="${n(top)}" width="${n(half)}" height="${n(height)}"/>`,
    );
  }
  parts.push(
    line("stem", x, y(clairvoyantMs), x, y(windowMs)),
    line("best", x - half, y(clairvoyantMs), x + half, y(clairvoyantMs)),
    `<circle class="window" cx="${n(x)}" cy="${n(y(windowMs))}" r="${n(Math.min(3, half))}"/>`,
  );
  if (share > 0) {
    const height = Math.max(1, share * CUT_HEIGHT);
    const bar = `x="${n(x - half)}" y="${n(CUT_TOP + CUT_HEIGHT - height)}" width="${n(2 * half)}" height="${n(height)}"`;
    parts.push(`<rect class="cut" ${bar}/>`);
  }
  parts.push("</g>");
  return parts.join("");
}

function titleOf({ cutoverMs, live, windowMs, clairvoyantMs, cut, ceiling, forecast }: ReleaseOutcome): string {
  return [
    `Deploy ${formatDuration(cutoverMs)} after the beginning`,
    `${live} live sessions, ${cut} cut (${percent(cut / live)})${ceiling ? " at the ceiling" : ""}`,
    `window ${formatDuration(windowMs)}; one who knows all: ${formatDuration(clairvoyantMs)}`,
    ...(forecast
      ? [
          `forecast ${formatDuration(forecast.medianMs)}, 80%: ${formatDuration(forecast.lowMs)} to ${formatDuration(forecast.highMs)}`,
        ]
      : []),
  ].join("\n");
}

function windowAxis({ leastMs, mostMs }: Axes, y: (ms: number) => number): string[] {
  const parts = [axisTitle(TOP + WINDOW_HEIGHT / 2, "window (log)")];
  let last = Infinity;
  for (const tick of WINDOW_TICKS) {
    if (tick < leastMs || tick > mostMs || last - y(tick) < 18) continue;
    last = y(tick);
    parts.push(line("grid", LEFT, last, WIDTH - RIGHT, last), tickLabel(last, formatDuration(tick)));
  }
  return parts;
}

function cutAxis(budget: number): string[] {
  const y = (share: number) => CUT_TOP + CUT_HEIGHT * (1 - share);
  const parts = [axisTitle(CUT_TOP + CUT_HEIGHT / 2, "cut")];
  for (const share of [0, 0.5, 1]) {
    parts.push(line("grid", LEFT, y(share), WIDTH - RIGHT, y(share)), tickLabel(y(share), `${share * 100}%`));
  }
  if (budget > 0 && budget < 1) parts.push(line("budget", LEFT, y(budget), WIDTH - RIGHT, y(budget)));
  return parts;
}

function timeAxis({ spanMs }: Axes, x: (ms: number) => number): string[] {
  const step = TIME_STEPS.find((ms) => spanMs / ms <= 12) ?? spanMs;
  const y = CUT_TOP + CUT_HEIGHT;
  const parts: string[] = [];
  for (let ms = 0; ms <= spanMs; ms += Math.max(1, step)) {
    const label = ms === 0 ? "0" : formatDuration(ms);
    parts.push(
      line("tick", x(ms), y, x(ms), y + 4),
      `<text class="label middle" x="${n(x(ms))}" y="${y + 16}">${label}</text>`,
    );
  }
  parts.push(
    `<text class="label middle" x="${LEFT + PLOT / 2}" y="${y + 34}">time of the deploy, from the beginning</text>`,
  );
  return parts;
}

function axisTitle(y: number, text: string): string {
  return `<text class="label middle" transform="translate(12 ${n(y)}) rotate(-90)">${text}</text>`;
}

function tickLabel(y: number, text: string): string {
  return `<text class="label end" x="${LEFT - 6}" y="${n(y + 4)}">${text}</text>`;
}

function line(name: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${name}" x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}"/>`;
}

/** A tenth of a unit is finer than anybody sees. */
function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand in an element or between quotes. */
export function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

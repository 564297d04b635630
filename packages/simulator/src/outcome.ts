import { type CalibratedForecast, HoldoverError, type RetirementForecast, type WindowPolicy } from "@holdover/core";

/** What became of one release after its cutover. Times in ms from it. */
export interface ReleaseOutcome {
  readonly cutoverMs: number;
  readonly live: number;
  readonly windowMs: number;
  /** The shortest window that keeps the budget, known only afterwards; at most the ceiling. */
  readonly clairvoyantMs: number;
  readonly cut: number;
  /** The ceiling ended it. */
  readonly ceiling: boolean;
  /** What was forecast at the cutover, before (`model`) and after calibration; undefined where there was no estimate yet. */
  readonly forecast:
    | (CalibratedForecast & { readonly model: RetirementForecast; readonly actualMs: number })
    | undefined;
}

/** How one policy did on one trace. Shares are 0 to 1; null where there is nothing to tell. */
export interface PolicyOutcome {
  readonly policy: WindowPolicy;
  readonly budget: number;
  /** Deploys that met a live session. */
  readonly deploys: number;
  /** Sessions live on the release at a cutover, on average. */
  readonly live: number;
  readonly meanCut: number;
  readonly worstCut: number;
  /** Deploys that cut more than the budget, and how many of these the ceiling ended. */
  readonly overBudget: number;
  readonly overBudgetAtCeiling: number;
  readonly ceilings: number;
  /** All windows together against those of a policy that knows every end. */
  readonly windowRatio: number | null;
  readonly meanWindowMs: number;
  /** Releases alive at once, the current one among them. */
  readonly releasesMean: number;
  readonly releasesMost: number;
  /** What the retained releases cost, with one instance each. */
  readonly instanceHours: number;
  readonly forecasts: number;
  readonly coverage80: number | null;
  readonly medianError: number | null;
  /** The same for the uncalibrated forecast, to show what calibration is worth. */
  readonly model: { readonly coverage80: number | null; readonly medianError: number | null };
  readonly releases: readonly ReleaseOutcome[];
}

const HOUR_MS = 3_600_000;

export function summarise(
  policy: WindowPolicy,
  budget: number,
  releases: readonly ReleaseOutcome[],
  run: { readonly spanMs: number },
): PolicyOutcome {
  const windows = total(releases, (release) => release.windowMs);
  const clairvoyant = total(releases, (release) => release.clairvoyantMs);
  const over = releases.filter((release) => release.cut > Math.floor(budget * release.live + 1e-9));
  const told = releases.flatMap(({ forecast }) => (forecast ? [forecast] : []));
  return {
    policy,
    budget,
    deploys: releases.length,
    live: mean(releases, (release) => release.live),
    meanCut: mean(releases, (release) => release.cut / release.live),
    worstCut: releases.reduce((worst, release) => Math.max(worst, release.cut / release.live), 0),
    overBudget: over.length,
    overBudgetAtCeiling: over.filter((release) => release.ceiling).length,
    ceilings: releases.filter((release) => release.ceiling).length,
    windowRatio: clairvoyant > 0 ? windows / clairvoyant : null,
    meanWindowMs: mean(releases, (release) => release.windowMs),
    releasesMean: 1 + (run.spanMs > 0 ? windows / run.spanMs : 0),
    releasesMost: 1 + mostAtOnce(releases),
    instanceHours: windows / HOUR_MS,
    forecasts: told.length,
    ...calibrationOf(told, (forecast) => forecast),
    model: calibrationOf(told, (forecast) => forecast.model),
    releases,
  };
}

/** One policy's runs on the same trace, with deploys at other moments, taken together. */
export function joinOutcomes(runs: readonly PolicyOutcome[]): PolicyOutcome {
  const [first] = runs;
  if (!first) throw new HoldoverError("INTERNAL", { problem: "no run to join" });
  const releases = runs.flatMap((run) => run.releases);
  return {
    ...summarise(first.policy, first.budget, releases, { spanMs: 0 }),
    releasesMean: mean(runs, (run) => run.releasesMean),
    releasesMost: Math.max(...runs.map((run) => run.releasesMost)),
    instanceHours: mean(runs, (run) => run.instanceHours),
  };
}

type Told = NonNullable<ReleaseOutcome["forecast"]>;

function calibrationOf(
  told: readonly Told[],
  which: (forecast: Told) => RetirementForecast,
): { readonly coverage80: number | null; readonly medianError: number | null } {
  if (told.length === 0) return { coverage80: null, medianError: null };
  const holds = (forecast: Told) => {
    const { lowMs, highMs } = which(forecast);
    return lowMs <= forecast.actualMs && forecast.actualMs <= highMs;
  };
  const inside = told.filter(holds).length;
  const errors = told.map((forecast) => {
    const { actualMs } = forecast;
    return Math.abs(which(forecast).medianMs - actualMs) / Math.max(1, actualMs);
  });
  return { coverage80: inside / told.length, medianError: medianOf(errors) };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function mostAtOnce(releases: readonly ReleaseOutcome[]): number {
  const starts = releases.map((release) => release.cutoverMs);
  const ends = releases.map((release) => release.cutoverMs + release.windowMs).sort((a, b) => a - b);
  let most = 0;
  let gone = 0;
  for (const [index, start] of starts.entries()) {
    while ((ends[gone] ?? Infinity) <= start) gone++;
    most = Math.max(most, index + 1 - gone);
  }
  return most;
}

function total<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}

function mean<T>(items: readonly T[], of: (item: T) => number): number {
  return items.length === 0 ? 0 : total(items, of) / items.length;
}

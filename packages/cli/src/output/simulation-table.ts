import { formatDuration } from "@holdover/core";
import type { PolicyOutcome } from "@holdover/simulator";
import { policyText } from "../policy-option.ts";
import type { Paint } from "./paint.ts";
import { table, type Cell } from "./table.ts";

/** A simulation as it is told: what was played, and how each policy did. */
export interface Simulation {
  readonly name: string;
  readonly sessions: number;
  /** From the first start to the last, ms; of one period where it was folded. */
  readonly spanMs: number;
  readonly foldMs: number | undefined;
  readonly everyMs: number;
  /** What policies without a budget of their own are held to. */
  readonly budget: number;
  readonly notes: readonly string[];
  readonly outcomes: readonly PolicyOutcome[];
}

const NONE = "–";

/** The columns of a summary: a title, what it means, and how it is read off an outcome. */
export const SUMMARY: readonly {
  readonly title: string;
  readonly meaning: string;
  readonly of: (outcome: PolicyOutcome) => string;
}[] = [
  { title: "POLICY", meaning: "as --policy takes it", of: ({ policy }) => policyText(policy) },
  { title: "DEPLOYS", meaning: "cutovers that met a live session", of: ({ deploys }) => String(deploys) },
  { title: "CUT", meaning: "share of the live sessions that a deploy cut, on average", of: cut },
  { title: "WORST", meaning: "the same in the worst deploy", of: worst },
  { title: "OVER", meaning: "deploys over the budget, and how many of them at the ceiling", of: over },
  { title: "WINDOW", meaning: "mean time from the cutover to the end of the release", of: window },
  { title: "×BEST", meaning: "all windows against those of one who knows every end", of: ratio },
  { title: "ALIVE", meaning: "releases alive at once with the current one: mean / most", of: alive },
  { title: "INST-H", meaning: "instance-hours of retained releases, at one instance each", of: hours },
  {
    title: "80% HOLDS",
    meaning: "share of deploys in which the 80% interval held",
    of: holds,
  },
  { title: "ERROR", meaning: "how far the median was off, in the median deploy", of: error },
];

function cut({ deploys, meanCut }: PolicyOutcome): string {
  return deploys === 0 ? NONE : percent(meanCut);
}

function worst({ deploys, worstCut }: PolicyOutcome): string {
  return deploys === 0 ? NONE : percent(worstCut);
}

function over({ overBudget, overBudgetAtCeiling }: PolicyOutcome): string {
  return overBudgetAtCeiling > 0 ? `${overBudget} (ceiling ${overBudgetAtCeiling})` : String(overBudget);
}

function window({ deploys, meanWindowMs }: PolicyOutcome): string {
  return deploys === 0 ? NONE : formatDuration(meanWindowMs);
}

function ratio({ windowRatio }: PolicyOutcome): string {
  return windowRatio === null ? NONE : windowRatio.toFixed(2);
}

function alive({ releasesMean, releasesMost }: PolicyOutcome): string {
  return `${releasesMean.toFixed(1)} / ${releasesMost}`;
}

function hours({ instanceHours }: PolicyOutcome): string {
  return instanceHours.toFixed(1);
}

function holds({ coverage80 }: PolicyOutcome): string {
  return coverage80 === null ? NONE : percent(coverage80);
}

function error({ medianError }: PolicyOutcome): string {
  return medianError === null ? NONE : percent(medianError);
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** One line: what was played. */
export function simulationTitle({ name, sessions, spanMs, foldMs, everyMs }: Simulation): string {
  const span = foldMs === undefined ? `over ${formatDuration(spanMs)}` : `folded to ${formatDuration(foldMs)}`;
  return `${name}: ${sessions} sessions ${span}, a deploy every ${formatDuration(everyMs)}`;
}

/** What policies without a budget are held to, in words. */
export function budgetNote({ budget }: Simulation): string {
  return `A policy without a budget of its own is held to ${percent(budget)}.`;
}

export function simulationLines(simulation: Simulation, paint: Paint, width: number | undefined): string[] {
  const columns = SUMMARY.map(({ title }, index) => ({
    title,
    ...(index === 0 ? { shrinks: true } : { align: "right" as const }),
  }));
  const rows = simulation.outcomes.map((outcome) =>
    SUMMARY.map(({ title, of }): Cell => {
      const text = of(outcome);
      return title === "OVER" && outcome.overBudget > 0 ? { text, style: "red" } : text;
    }),
  );
  return [
    simulationTitle(simulation),
    ...simulation.notes.map((note) => `  ${note}`),
    "",
    ...table(columns, rows, paint, width),
  ];
}

/** What `--json` prints. */
export function simulationJson(simulation: Simulation) {
  const { name, sessions, spanMs, foldMs, everyMs, budget, notes, outcomes } = simulation;
  return {
    source: name,
    sessions,
    spanMs,
    foldMs: foldMs ?? null,
    everyMs,
    budget,
    notes,
    policies: outcomes.map(policyJson),
  };
}

function policyJson(outcome: PolicyOutcome) {
  const { policy, budget, deploys, live, meanCut, worstCut, overBudget, overBudgetAtCeiling, ceilings } = outcome;
  const { windowRatio, meanWindowMs, releasesMean, releasesMost, instanceHours } = outcome;
  const { forecasts, coverage80, medianError, model } = outcome;
  return {
    name: policyText(policy),
    policy,
    budget,
    deploys,
    live,
    meanCut,
    worstCut,
    overBudget,
    overBudgetAtCeiling,
    ceilings,
    windowRatio,
    meanWindowMs,
    releasesMean,
    releasesMost,
    instanceHours,
    forecasts,
    coverage80,
    medianError,
    uncalibrated: model,
  };
}

import { formatDuration } from "@holdover/core";
import type { PolicyOutcome } from "@holdover/simulator";

/** What one policy did on one trace, raw or folded. */
export interface Row {
  readonly trace: string;
  readonly fold: string | null;
  readonly outcome: PolicyOutcome;
}

/** What is asked of policy `budget` and of the forecast. */
export const TARGET = { windowRatio: 1.05, coverage: [0.75, 0.9], medianError: 0.25 } as const;

interface Column {
  readonly title: string;
  readonly of: (row: Row) => string;
}

const WHAT: readonly Column[] = [
  { title: "trace", of: ({ trace }) => trace },
  { title: "fold", of: ({ fold }) => fold ?? "raw" },
  { title: "policy", of: ({ outcome }) => nameOf(outcome) },
  { title: "deploys", of: ({ outcome }) => `${outcome.deploys}` },
  { title: "live", of: ({ outcome }) => outcome.live.toFixed(1) },
];
const CUTS: readonly Column[] = [
  { title: "cut mean", of: ({ outcome }) => percent(outcome.meanCut) },
  { title: "worst", of: ({ outcome }) => percent(outcome.worstCut) },
  { title: "over budget", of: ({ outcome }) => overBudget(outcome) },
  { title: "window", of: ({ outcome }) => formatDuration(outcome.meanWindowMs) },
  { title: "ratio", of: ({ outcome }) => outcome.windowRatio?.toFixed(3) ?? "" },
  { title: "alive", of: ({ outcome }) => `${outcome.releasesMean.toFixed(2)}, at most ${outcome.releasesMost}` },
];
const FORECASTS: readonly Column[] = [
  { title: "80% holds", of: ({ outcome }) => told(outcome.coverage80) },
  { title: "median error", of: ({ outcome }) => told(outcome.medianError) },
];
const MODEL: readonly Column[] = [
  { title: "uncalibrated: 80% holds", of: ({ outcome }) => told(outcome.model.coverage80) },
  { title: "median error", of: ({ outcome }) => told(outcome.model.medianError) },
];
const SHORT: Column = { title: "short of", of: ({ outcome }) => shortOf(outcome) };

export function rowsTable(rows: readonly Row[]): string[] {
  return markdown([...WHAT, ...CUTS, ...FORECASTS, SHORT], rows);
}

export function cutsTable(rows: readonly Row[]): string[] {
  return markdown([...WHAT, ...CUTS], rows);
}

export function forecastsTable(rows: readonly Row[]): string[] {
  return markdown([...WHAT, ...FORECASTS, ...MODEL, SHORT], rows);
}

function markdown(columns: readonly Column[], rows: readonly Row[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ of }) => of(row)))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  return lines.toSpliced(1, 0, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
}

function overBudget({ overBudget, overBudgetAtCeiling }: PolicyOutcome): string {
  return overBudgetAtCeiling > 0 ? `${overBudget} (${overBudgetAtCeiling} at the ceiling)` : `${overBudget}`;
}

function nameOf({ policy }: PolicyOutcome): string {
  switch (policy.policy) {
    case "budget":
      return `budget ${policy.disruptionBudget}`;
    case "quantile":
      return `P${policy.quantile * 100} × ${policy.factor}`;
    case "fixed":
      return `fixed ${formatDuration(policy.window)}`;
    case "until-empty":
      return "until-empty";
  }
}

/** Which of the targets this row misses; only `budget` is held to them. */
function shortOf(outcome: PolicyOutcome): string {
  if (outcome.policy.policy !== "budget") return "";
  const { coverage80, medianError, windowRatio } = outcome;
  const [least, most] = TARGET.coverage;
  const missed = [
    outcome.overBudget > outcome.overBudgetAtCeiling && "budget",
    windowRatio !== null && windowRatio > TARGET.windowRatio && "window",
    coverage80 !== null && (coverage80 < least || coverage80 > most) && "interval",
    medianError !== null && medianError > TARGET.medianError && "error",
  ];
  return missed.filter(Boolean).join(", ");
}

function told(share: number | null): string {
  return share === null ? "" : percent(share);
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

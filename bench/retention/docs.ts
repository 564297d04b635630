import { readFileSync, writeFileSync } from "node:fs";
import { HoldoverError, problemOf } from "@holdover/core";
import { windowsPicture } from "./picture.ts";
import { cutsTable, forecastsTable, percent, type Row, TARGET } from "./rows.ts";

const BEGIN = "<!-- written by npm run bench -- retention: begin -->";
const END = "<!-- written by npm run bench -- retention: end -->";

/**
 * Writes what was measured between the two marks of a page, and the picture beside it (`page.md` → `page-windows.svg`), so that
 * no number in it was typed.
 *
 * @throws HoldoverError USAGE_INVALID where the page cannot be read or written, or has not both marks once
 */
export function writeDocs(page: string, rows: readonly Row[]): void {
  const text = attempt(page, () => readFileSync(page, "utf8"));
  const [before, rest, ...more] = text.split(BEGIN);
  const [, after, ...others] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined || more.length > 0 || others.length > 0) {
    throw refused(`${page} has not the two marks that the numbers stand between.`, `Write ${BEGIN} and ${END}.`);
  }
  const body = [...summary(rows), "", ...tables(rows)].join("\n");
  attempt(page, () => {
    writeFileSync(page, `${before}${BEGIN}\n\n${body}\n\n${END}${after}`);
    writeFileSync(`${page.replace(/\.md$/, "")}-windows.svg`, windowsPicture());
  });
}

function tables(rows: readonly Row[]): string[] {
  const compared = rows.filter(({ outcome }) => ["budget", "quantile"].includes(outcome.policy.policy));
  const held = rows.filter(({ outcome }) => outcome.policy.policy === "budget");
  return [...cutsTable(compared), "", ...forecastsTable(held)];
}

/** What of the targets was reached, in words. */
function summary(rows: readonly Row[]): string[] {
  const held = rows.map(({ outcome }) => outcome).filter(({ policy }) => policy.policy === "budget");
  const deploys = sum(held.map((outcome) => outcome.deploys));
  const over = sum(held.map((outcome) => outcome.overBudget));
  const ceiling = sum(held.map((outcome) => outcome.overBudgetAtCeiling));
  const ratio = Math.max(0, ...held.map(({ windowRatio }) => windowRatio ?? 0));
  const [least, most] = TARGET.coverage;
  const told = held.filter(({ coverage80 }) => coverage80 !== null);
  const covered = told.filter(({ coverage80 }) => (coverage80 ?? 0) >= least && (coverage80 ?? 0) <= most);
  const near = told.filter(({ medianError }) => (medianError ?? 1) <= TARGET.medianError);
  const quantile = rows.map(({ outcome }) => outcome).filter(({ policy }) => policy.policy === "quantile");
  const cut = quantile.map(({ meanCut }) => meanCut);
  const worst = Math.max(0, ...quantile.map(({ worstCut }) => worstCut));
  return [
    `- A window of P95 cut ${percent(Math.min(1, ...cut))} to ${percent(Math.max(0, ...cut))} on average, and ${percent(worst)} in the worst deploy.`,
    `- Policy \`budget\` cut more than its budget in ${over} of ${deploys} deploys, ${ceiling} of them at the ceiling.`,
    `- Its windows were at most ${ratio.toFixed(3)} times the shortest ones that keep the budget (target ${TARGET.windowRatio}).`,
    `- The forecast's 80% interval held in ${percent(least)} to ${percent(most)} of deploys in ${covered.length} of ${told.length} rows.`,
    `- The median error of its median was at most ${percent(TARGET.medianError)} in ${near.length} of ${told.length} rows.`,
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function attempt<Result>(page: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw refused(`${page}: ${problemOf(error)}`, "Name a page that can be read and written.");
  }
}

function refused(problem: string, remedy: string): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy });
}

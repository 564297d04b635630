import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { asHoldoverError, DEFAULT_WINDOW, HoldoverError, parseDuration } from "@holdover/core";
import type { WindowPolicy } from "@holdover/core";
import { writeDocs } from "./retention/docs.ts";
import { rowsTable, type Row } from "./retention/rows.ts";
import { joinOutcomes, parseTrace, type PolicyOutcome, simulateRetention, type Trace } from "@holdover/simulator";

/**
 * Retention policies against traces of real sessions, raw and folded. See README of the traces: numbers on a trace that is
 * folded say something of a busier service with the same lengths.
 */

/** A run with fewer deploys says little: the deploys are then also shifted in time, up to so often. */
const WANTED_DEPLOYS = 96;
const MOST_SHIFTS = 8;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const POLICIES: readonly WindowPolicy[] = [
  DEFAULT_WINDOW,
  { policy: "budget", disruptionBudget: 0.05, floor: 0, ceiling: DAY_MS },
  { policy: "quantile", quantile: 0.95, factor: 1, floor: 0, ceiling: DAY_MS },
  { policy: "fixed", window: HOUR_MS, floor: 0 },
  { policy: "until-empty", floor: 0 },
];
/** What policies without a budget of their own are held to. */
const BUDGET = 0.05;

export function run(args: string[]): Promise<number> {
  try {
    return Promise.resolve(measure(args));
  } catch (error) {
    const { message, next, exit } = asHoldoverError(error);
    process.stderr.write(`${message} ${next}\n`);
    return Promise.resolve(exit);
  }
}

function measure(args: string[]): number {
  const { values, positionals } = readArgs(args);
  if (positionals.length === 0) throw usage("no trace is named", "Run: npm run bench -- retention TRACE… [--json]");
  const every = spanOf(values.every);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw usage(`--seed ${values.seed} is no whole number`, "Write for example 1.");
  const rows: Row[] = [];
  for (const file of positionals) {
    const name = basename(file).replace(/\.csv$/, "");
    const trace = parseTrace(name, readTrace(file));
    for (const fold of [null, ...values.fold.split(",").filter((text) => text !== "none")]) {
      for (const outcome of shifted(trace, every, fold === null ? undefined : spanOf(fold), seed)) {
        rows.push({ trace: name, fold, outcome });
      }
    }
  }
  for (const line of rowsTable(rows)) process.stdout.write(`${line}\n`);
  if (values.docs !== undefined) writeDocs(values.docs, rows);
  if (values.json) process.stdout.write(`${JSON.stringify({ traces: rows.map(jsonOf) })}\n`);
  return 0;
}

function readArgs(args: string[]) {
  const options = {
    json: { type: "boolean", default: false },
    every: { type: "string", default: "2h" },
    fold: { type: "string", default: "1d,3d" },
    seed: { type: "string", default: "1" },
    docs: { type: "string" },
  } as const;
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw usage(asHoldoverError(error).message, "Options: --json --docs FILE --every 2h --fold 1d,3d|none --seed 1");
  }
}

function readTrace(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw usage(`the trace ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, "Name a CSV file.");
  }
}

function spanOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) throw usage(`"${text}" is not a duration`, "Write for example 2h or 1d.");
  return ms;
}

function usage(problem: string, remedy: string): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy });
}

/** The same service with its deploys at other moments, each run on its own: few deploys a run, many runs. */
function shifted(trace: Trace, every: number, fold: number | undefined, seed: number): PolicyOutcome[] {
  const last = trace.startMs.at(-1) ?? 0;
  const deploys = Math.max(1, Math.floor(Math.min(last, fold ?? last) / every));
  const shifts = Math.min(MOST_SHIFTS, Math.max(1, Math.ceil(WANTED_DEPLOYS / deploys)));
  const runs = Array.from({ length: shifts }, (_, shift) =>
    simulateRetention({
      sessions: trace,
      every,
      first: Math.round(every - (shift * every) / shifts),
      policies: POLICIES,
      disruptionBudget: BUDGET,
      ...(fold === undefined ? {} : { fold }),
      seed: seed + shift,
    }),
  );
  return POLICIES.map((_, index) => joinOutcomes(runs.flatMap((run) => run[index] ?? [])));
}

function jsonOf({ trace, fold, outcome }: Row) {
  return {
    trace,
    fold,
    policy: outcome.policy.policy,
    budget: outcome.budget,
    deploys: outcome.deploys,
    live: rounded(outcome.live),
    overBudget: outcome.overBudget,
    worstCut: rounded(outcome.worstCut),
    windowRatio: rounded(outcome.windowRatio),
    coverage80: rounded(outcome.coverage80),
    medianError: rounded(outcome.medianError),
    overBudgetAtCeiling: outcome.overBudgetAtCeiling,
  };
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toFixed(4));
}

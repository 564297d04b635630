import { access, constants, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
  DEFAULT_CEILING_MS,
  DEFAULT_WINDOW,
  formatDuration,
  HoldoverError,
  LENGTHS_WINDOW,
  problemOf,
  type WindowPolicy,
} from "@holdover/core";
import { type PolicyOutcome, simulateRetention } from "@holdover/simulator";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readDuration } from "../option-values.ts";
import { createProgress } from "../output/progress.ts";
import { simulationPage } from "../output/simulation-page.ts";
import { budgetNote, type Simulation, simulationJson, simulationLines, SUMMARY } from "../output/simulation-table.ts";
import { readPolicy } from "../policy-option.ts";
import { MOST_HISTORY, type SimulationSource, sourceOfFile, sourceOfService } from "../simulation-source.ts";
import { serviceOf } from "../target.ts";

interface SimulateOptions {
  readonly trace?: string;
  readonly fold?: number;
  readonly every: number;
  readonly policy?: readonly WindowPolicy[];
  readonly html?: string;
}

/** What is compared where no policy is named. */
const POLICIES: readonly WindowPolicy[] = [
  DEFAULT_WINDOW,
  { ...DEFAULT_WINDOW, policy: "budget", disruptionBudget: 0.05, floor: 0, ceiling: DEFAULT_CEILING_MS },
  { policy: "quantile", quantile: 0.95, factor: 1, floor: 0, ceiling: DEFAULT_CEILING_MS },
  { policy: "fixed", window: 3_600_000, floor: 0 },
  { policy: "until-empty", floor: 0 },
];
const BUDGET = 0.05;
/** Fixed, so that the same trace gives the same numbers. */
const SEED = 1;
const QUIET_MS = 1000;

export function addSimulate(program: Command, cli: Cli): void {
  const command = program
    .command("simulate")
    .description("Compare retention policies on the service's own history, or on a trace")
    .argument("[service]", "whose history; may be left out where there is just one")
    .option("--trace <file>", "a CSV file of start_s,duration_s instead of the history")
    .option(
      "--fold <duration>",
      "lay the periods of it over each other: a busier service from the same lengths",
      readDuration,
    )
    .option("--every <duration>", "time between two deploys", readDuration, readDuration("2h"))
    .option(
      "--policy <policy>",
      "budget[:5%,ceiling=8h], quantile[:P95,factor=1.5,floor=5m,ceiling=24h], fixed:1h or until-empty; may be repeated",
      (text: string, before: readonly WindowPolicy[] | undefined) => [...(before ?? []), readPolicy(text)],
    )
    .option("--html <file>", "write a page with the window and the cuts of each deploy")
    .action(
      cli.action(async (service: string | undefined, options: SimulateOptions) => simulate(cli, service, options)),
    );
  const meanings = SUMMARY.map(({ title, meaning }) => `  ${title.padEnd(10)} ${meaning}`);
  command.addHelpText("after", ["", "Columns:", ...meanings].join("\n"));
  addExamples(command, [
    ["holdover simulate rooms --every 6h", "on its history"],
    ["holdover simulate --trace calls.csv --html out.html", "with a picture"],
    ["holdover simulate --policy budget:5% --policy fixed:1h", "these"],
  ]);
}

async function simulate(cli: Cli, service: string | undefined, options: SimulateOptions): Promise<number> {
  if (options.trace !== undefined && service !== undefined) {
    throw refused("--trace and a service exclude each other.", "Leave one of them out.");
  }
  const page = options.html === undefined ? undefined : resolve(cli.terminal.cwd, options.html);
  if (page !== undefined) await checkWritable(page, options.html ?? page);
  const source =
    options.trace === undefined ? await historyOf(cli, service) : await sourceOfFile(options.trace, cli.terminal.cwd);
  const simulation = play(cli, source, options);
  if (page !== undefined) await write(page, options.html ?? page, simulationPage(simulation));
  if (cli.json) {
    cli.printJson(simulationJson(simulation));
    return 0;
  }
  for (const line of simulationLines(simulation, cli.paint, cli.width)) cli.print(line);
  cli.note(`${budgetNote(simulation)} What the columns mean: holdover simulate --help`);
  if (page !== undefined) cli.note(`Wrote ${options.html}.`);
  return 0;
}

async function historyOf(cli: Cli, service: string | undefined): Promise<SimulationSource> {
  const { api, located } = await cli.connect();
  return sourceOfService(api, serviceOf(service, located));
}

function play(cli: Cli, source: SimulationSource, options: SimulateOptions): Simulation {
  const { trace, name, notes, knownFromMs } = source;
  const { fold, every } = options;
  const lastMs = trace.startMs.at(-1) ?? 0;
  const spanMs = fold === undefined ? lastMs : Math.min(lastMs, fold);
  const firstMs = fold === undefined ? Math.max(every, knownFromMs) : every;
  if (firstMs > spanMs) throw noDeploy(source, spanMs, options);
  const outcomes = watched(cli, (onProgress) =>
    simulateRetention({
      sessions: trace,
      every,
      first: firstMs,
      policies: options.policy ?? POLICIES,
      disruptionBudget: BUDGET,
      ...(fold === undefined ? {} : { fold }),
      seed: SEED,
      onProgress,
    }),
  );
  const sessions = trace.startMs.length;
  const told = [...notes, ...missing(outcomes)];
  return { name, sessions, spanMs, foldMs: fold, everyMs: every, budget: BUDGET, notes: told, outcomes };
}

function noDeploy({ name }: SimulationSource, spanMs: number, { fold, every }: SimulateOptions): HoldoverError {
  if (fold === undefined && every <= spanMs) {
    const problem = `${name} has so many sessions that no deploy falls into the newest ${MOST_HISTORY}.`;
    return refused(problem, "Give a trace: --trace FILE.");
  }
  const problem = `spans ${formatDuration(spanMs)}: no deploy falls into it at one every ${formatDuration(every)}.`;
  if (fold === undefined) return refused(`${name} ${problem}`, "Deploy more often: --every.");
  return refused(`${name}, folded, ${problem}`, "Deploy more often (--every), or fold to a longer period.");
}

/** Why there are no numbers where there are none. */
function missing(outcomes: readonly PolicyOutcome[]): string[] {
  const [first] = outcomes;
  if (!first) return [];
  if (first.deploys === 0) return ["no session was live at any deploy, so no policy had anything to do"];
  const tells = outcomes.filter(({ policy }) => policy.policy === "budget" || policy.policy === "until-empty");
  if (tells.length === 0 || tells.some(({ forecasts }) => forecasts > 0)) return [];
  return [`no forecast: fewer than ${LENGTHS_WINDOW.leastEnds} sessions had ended before any deploy`];
}

/** Says how far it is in steps of a tenth, where it takes longer than a second. */
function watched(cli: Cli, run: (onProgress: (done: number) => void) => PolicyOutcome[]): PolicyOutcome[] {
  const progress = createProgress(cli.terminal, cli.json);
  const begun = cli.terminal.now();
  try {
    return run((done) => {
      if (cli.terminal.now() - begun > QUIET_MS) progress.step(`simulating: ${Math.floor(done * 10) * 10}%`);
    });
  } finally {
    progress.done();
  }
}

/** Before the work, not after it. */
async function checkWritable(path: string, shown: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw refused(`${shown} cannot be written: its directory cannot.`, "Name a file in a directory of yours.", error);
  }
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) throw refused(`${shown} is a directory.`, "Name a file, for example simulation.html.");
}

async function write(path: string, shown: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw refused(`${shown} cannot be written: ${problemOf(error)}.`, "Name another file.", error);
  }
}

function refused(problem: string, remedy: string, cause?: unknown): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy }, { cause });
}

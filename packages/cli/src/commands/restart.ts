import { formatDuration, HoldoverError } from "@holdover/core";
import { Option, type Command } from "commander";
import type { ApiClient, RestartPlanView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { followRestart } from "../follow-restart.ts";
import { addExamples } from "../help-text.ts";
import { readBatch, readSpan } from "../option-values.ts";
import { namesOf } from "../output/restart-step.ts";
import { expectedSessions, sessionsText } from "../output/session-count.ts";
import { table } from "../output/table.ts";
import { wrapped } from "../output/wrap.ts";
import { openQuestions } from "../question.ts";
import { serviceOf } from "../target.ts";

interface RestartOptions {
  readonly batch: number;
  readonly wait: number;
  readonly grace?: number;
  readonly plan?: boolean;
  readonly yes?: boolean;
  readonly cancel?: boolean;
}

export function addRestart(program: Command, cli: Cli): void {
  const command = program
    .command("restart")
    .description("Replace the instances of the current release, batch by batch; the plan is shown first")
    .argument("[service]", "may be left out where the configuration has just one")
    .addOption(new Option("--batch <number>", "instances at once, 1 to 256").argParser(readBatch).default(1))
    .addOption(
      new Option(
        "--wait <duration>",
        "how long sessions of a batch may end by themselves before they are asked to move",
      )
        .argParser(readSpan)
        .default(600_000, "10m"),
    )
    .option("--grace <duration>", "and then how long until what is left is cut; else `retention.grace`", readSpan)
    .option("--plan", "only show the plan")
    .option("-y, --yes", "do not ask")
    .option("--cancel", "call off the one under way: instances not replaced yet stay")
    .action(cli.action(async (service: string | undefined, options: RestartOptions) => restart(cli, service, options)));
  addExamples(command, [
    ["holdover restart --plan", "what it would do"],
    ["holdover restart rooms --batch 2 --wait 30m", "two instances at a time"],
    ["holdover restart --yes", "in a script, until it is done"],
  ]);
}

async function restart(cli: Cli, named: string | undefined, options: RestartOptions): Promise<number> {
  if (options.cancel && (options.plan || options.yes)) {
    throw usage("--cancel excludes --plan and --yes.", "Leave them out.");
  }
  const { api, located } = await cli.connect();
  const service = serviceOf(named, located);
  if (options.cancel) return cancel(cli, api, service);
  const { batch, wait, grace } = options;
  const settings = { batch, waitMs: wait, ...(grace !== undefined && { graceMs: grace }) };
  const plan = await api.restartPlan(service, settings);
  if (options.plan && cli.json) cli.printJson(plan);
  else if (!cli.json) for (const line of planLines(cli, plan)) cli.print(line);
  if (options.plan) return 0;
  if (!options.yes) await confirm(cli, plan);
  // With the grace that was shown, whatever the configuration becomes meanwhile.
  const end = await followRestart(cli, api, await api.restart(service, { ...settings, graceMs: plan.graceMs }));
  if (end === "interrupted") return 130;
  const { release, before, left } = end;
  if (cli.json) cli.printJson(release);
  else if (left.length === 0) cli.print(`Release ${release.id} of ${service} has been restarted.`);
  else {
    const why = release.state === "current" ? "it was called off" : `${release.id} is ${release.state} by now`;
    cli.print(
      `The restart of ${service} is over: ${why}. ${left.length} of ${before.length} instances were not replaced.`,
    );
  }
  return left.length === 0 ? 0 : 1;
}

async function cancel(cli: Cli, api: ApiClient, service: string): Promise<number> {
  const release = await api.stopRestart(service);
  if (cli.json) cli.printJson(release);
  else cli.print(`No restart of ${service} ${release.id} is under way any more: instances not replaced yet stay.`);
  return 0;
}

/** @throws HoldoverError USAGE_INVALID without a terminal; NOT_CONFIRMED */
async function confirm(cli: Cli, { service, release }: RestartPlanView): Promise<void> {
  if (!cli.terminal.stdin.isTTY || cli.json) {
    const problem = `This replaces all instances of ${service} ${release}. Nobody is there to confirm it.`;
    throw usage(problem, "Add --yes if it may, or --plan to see what it would do.");
  }
  const questions = openQuestions(cli.terminal);
  const answer = await questions.ask("Type yes to go on: ");
  questions.close();
  if (!/^y(es)?$/i.test(answer?.trim() ?? "")) throw new HoldoverError("NOT_CONFIRMED", { expected: "yes" });
}

function usage(problem: string, remedy: string): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy });
}

function planLines(cli: Cli, plan: RestartPlanView): string[] {
  const { service, release, batches, waitMs, graceMs } = plan;
  const instances = batches.reduce((sum, batch) => sum + batch.instances.length, 0);
  const wait =
    waitMs === 0
      ? "are asked to move at once"
      : `may end by themselves for ${formatDuration(waitMs)}, are then asked to move`;
  const head =
    `Restart of ${service} ${release}: ${counted(instances, "instance")} in ${counted(batches.length, "batch", "batches")}. ` +
    `The sessions of each ${wait}, and cut after another ${formatDuration(graceMs)}.`;
  const duration = `Takes about ${formatDuration(plan.expectedMs)}, ${formatDuration(plan.mostMs)} if no session ended by itself.`;
  const moved = plan.expectedMoved === null ? "All that is left" : capitalized(expectedSessions(plan.expectedMoved));
  const cut = plan.expectedCut === 0 ? "Nobody" : capitalized(expectedSessions(plan.expectedCut));
  const worst = plan.mostCut === 0 ? "nobody either" : sessionsText(plan.mostCut);
  const ends = `${moved} would be asked to move. ${cut} would be cut; if none ended by itself, ${worst}.`;
  return [
    ...wrapped(head, "", cli.width),
    "",
    ...batchTable(cli, plan),
    "",
    ...[duration, ends].flatMap((line) => wrapped(line, "", cli.width)),
  ];
}

function batchTable(cli: Cli, { batches }: RestartPlanView): string[] {
  const rows = batches.map(({ instances, startsAfterMs, expectedMoved, connections, closingMs }, index) => [
    String(index + 1),
    namesOf(instances),
    startsAfterMs === 0 ? "now" : `in ${formatDuration(startsAfterMs)}`,
    expectedMoved === null
      ? "all left"
      : String(expectedMoved < 10 ? Math.round(expectedMoved * 10) / 10 : Math.round(expectedMoved)),
    String(connections),
    formatDuration(closingMs),
  ]);
  const columns = [
    { title: "BATCH", align: "right" as const },
    { title: "INSTANCES", shrinks: true },
    { title: "STARTS" },
    { title: "MOVED", align: "right" as const },
    { title: "CONN", align: "right" as const },
    { title: "CLOSING TAKES" },
  ];
  return table(columns, rows, cli.paint, cli.width);
}

function counted(many: number, one: string, several = `${one}s`): string {
  return `${many} ${many === 1 ? one : several}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

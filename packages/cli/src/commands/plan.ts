import { formatDuration } from "@holdover/core";
import type { Command } from "commander";
import type { DeployPlanView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { bar } from "../output/bar.ts";
import { timeOfDay } from "../output/moment.ts";
import { intervalText } from "../output/retention-text.ts";
import { expectedSessions, sessionsText } from "../output/session-count.ts";
import { printable, table } from "../output/table.ts";
import { wrapped } from "../output/wrap.ts";
import { serviceOf } from "../target.ts";

const BAR_COLUMNS = 24;

export function addPlan(program: Command, cli: Cli): void {
  const plan = program.command("plan").description("Say what something would mean before it is done");
  const deploy = plan
    .command("deploy")
    .description(
      "Say how long the old release would live, whom its window would cut, what that costs, and when is best",
    )
    .argument("[service]", "may be left out where the configuration has just one")
    .action(
      cli.action(async (named: string | undefined) => {
        const { api, located } = await cli.connect();
        const view = await api.deployPlan(serviceOf(named, located));
        if (cli.json) cli.printJson(view);
        else for (const line of [...facts(cli, view), ...hours(cli, view)]) cli.print(line);
        return 0;
      }),
    );
  addExamples(deploy, [["holdover plan deploy rooms", "changes nothing"]]);
}

function facts(cli: Cli, view: DeployPlanView): string[] {
  const { service, release, sessions } = view;
  const held = sessions === null ? "sessions that cannot be counted now" : sessionsText(sessions);
  const parts: (readonly [title: string, text: string])[] = [
    ["lives", livesText(view)],
    ["window", windowText(view)],
    ["cuts", cutsText(view)],
    ["overlap", overlapText(view)],
    ["cheapest", cheapestText(view)],
  ];
  return [
    `If ${service} ${release} were replaced now, with ${held}:`,
    ...parts.flatMap(([title, text]) => wrapped(printable(`  ${title.padEnd(8)}  ${text}`), " ".repeat(12), cli.width)),
  ];
}

function livesText({ oldLives, lengths, sessions }: DeployPlanView): string {
  if (sessions === null) return "unknown: its sessions cannot be counted now";
  if (!oldLives) return `unknown: ${lengths.known ? "no forecast has been made yet" : lengths.why}`;
  const { lowMs, medianMs, highMs, known } = oldLives;
  if (highMs === 0) return "not at all: nothing would keep it";
  const interval = intervalText(formatDuration(lowMs), formatDuration(highMs), known);
  return `about ${formatDuration(medianMs)} (${interval}), from ${lengths.ends} ended sessions`;
}

function windowText({ window }: DeployPlanView): string {
  const most = window.lastsMs === null ? "with no end" : `${formatDuration(window.lastsMs)} at the most`;
  // What a forecast sets is told by how long it lives.
  return window.rule === "forecast" ? `${window.policy}, ${most}` : `${window.policy}, ${most}: ${window.why}`;
}

function cutsText({ allowedCuts, cutAtCeiling, window }: DeployPlanView): string {
  const allowed = window.policy === "budget" ? [`the budget lets ${sessionsText(allowedCuts)} be cut`] : [];
  if (window.lastsMs === null) return [...allowed, "nobody: no window ends"].join("; ");
  const cut =
    cutAtCeiling === null
      ? "how many its end would cut is unknown"
      : `its end would cut ${expectedSessions(cutAtCeiling)}`;
  return [cut, ...allowed].join("; ");
}

function overlapText({ instanceHours, instanceHoursMost, instances }: DeployPlanView): string {
  const of = `${instances} ${instances === 1 ? "instance" : "instances"}`;
  const most = instanceHoursMost === null ? "" : `; ${hoursText(instanceHoursMost)} at the most`;
  if (!instanceHours) return `unknown${most} (${of})`;
  const { low, median, high } = instanceHours;
  const interval = intervalText(hoursText(low), hoursText(high), true);
  return `about ${hoursText(median)} instance-hours (${interval})${most} (${of})`;
}

function hoursText(hours: number): string {
  return Number(hours.toPrecision(2)).toString();
}

function cheapestText({ cheapest }: DeployPlanView): string {
  if (cheapest?.retiredAfterMs == null) return "unknown: no hour of the days before tells";
  const lived = formatDuration(cheapest.retiredAfterMs);
  return `at ${timeOfDay(cheapest.startsAtMs)}: the old release would have lived ${lived} (mean of ${daysText(cheapest.days)})`;
}

function daysText(days: number): string {
  return `${days} ${days === 1 ? "day" : "days"}`;
}

/** The next 24 hours: how long the old release would have lived after a deploy in them, on average of the days before. None where no day tells. */
function hours(cli: Cli, { hours: all, cheapest }: DeployPlanView): string[] {
  if (all.every(({ retiredAfterMs }) => retiredAfterMs === null)) return [];
  const longestMs = Math.max(1, ...all.map(({ retiredAfterMs }) => retiredAfterMs ?? 0));
  const rows = all.map(({ startsAtMs, retiredAfterMs, days }) => [
    timeOfDay(startsAtMs),
    retiredAfterMs === null ? "unknown" : formatDuration(retiredAfterMs),
    String(days),
    {
      text: retiredAfterMs === null ? "" : bar(retiredAfterMs / longestMs, BAR_COLUMNS, cli.unicode),
      style: startsAtMs === cheapest?.startsAtMs ? ("green" as const) : ("cyan" as const),
    },
  ]);
  const columns = [
    { title: "DEPLOY AT" },
    { title: "OLD LIVES", align: "right" as const },
    { title: "DAYS", align: "right" as const },
    { title: "" },
  ];
  return ["", ...table(columns, rows, cli.paint, cli.width)];
}

import { formatDuration, HoldoverError } from "@holdover/core";
import { Option, type Command } from "commander";
import type { PreparedView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readAhead, readSpan } from "../option-values.ts";
import { moment } from "../output/moment.ts";
import { table } from "../output/table.ts";
import { wrapped } from "../output/wrap.ts";
import { serviceOf } from "../target.ts";

interface PrepareOptions {
  readonly in?: number;
  readonly linger?: number;
  readonly cancel?: boolean;
}

export function addPrepare(program: Command, cli: Cli): void {
  const command = program
    .command("prepare")
    .description("Shrink the linger of the current release before a deploy, so that fewer sessions stay on it")
    .argument("[service]", "may be left out where the configuration has just one")
    .addOption(new Option("--in <duration>", "when the deploy is to come, up to 7d (required)").argParser(readAhead))
    .option(
      "--linger <duration>",
      "the linger by then; else `session.cutoverLinger`, a sixth of it unless set",
      readSpan,
    )
    .option("--cancel", "give it its normal linger again")
    .action(cli.action(async (service: string | undefined, options: PrepareOptions) => prepare(cli, service, options)));
  addExamples(command, [
    ["holdover prepare --in 1h", "an hour before a deploy"],
    ["holdover prepare rooms --in 30m --linger 10s", "down to ten seconds"],
    ["holdover prepare --cancel", "the deploy does not come"],
  ]);
}

async function prepare(cli: Cli, named: string | undefined, options: PrepareOptions): Promise<number> {
  const { in: inMs, linger: lingerMs, cancel } = options;
  if (cancel && (inMs !== undefined || lingerMs !== undefined)) {
    throw usage("--cancel excludes --in and --linger.", "Leave them out.");
  }
  if (!cancel && inMs === undefined) throw usage("When is the deploy to come?", "Say it: --in, for example --in 1h.");
  const { api, located } = await cli.connect();
  const service = serviceOf(named, located);
  if (inMs === undefined) {
    const release = await api.unprepare(service);
    if (cli.json) cli.printJson(release);
    else cli.print(`The linger of ${service} ${release.id} is ${formatDuration(release.lingerMs)} again.`);
    return 0;
  }
  const prepared = await api.prepare(service, { inMs, ...(lingerMs !== undefined && { lingerMs }) });
  if (cli.json) cli.printJson(prepared);
  else for (const line of lines(cli, prepared)) cli.print(line);
  return 0;
}

function usage(problem: string, remedy: string): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy });
}

function lines(cli: Cli, { release, tail }: PreparedView): string[] {
  const { service, id, lingerMs, preparation } = release;
  const normal = formatDuration(lingerMs);
  const least = formatDuration(preparation?.lingerMs ?? lingerMs);
  const nowMs = cli.terminal.now();
  const untilMs = preparation?.untilMs ?? nowMs;
  const falls =
    `The linger of ${service} ${id} falls from ${normal} to ${least} by ${moment(untilMs, nowMs)} ` +
    `(in ${formatDuration(Math.max(0, untilMs - nowMs))}), in steps; no session lingers for less than it was promised.`;
  if (!tail) {
    const why =
      "What that spares cannot be told: no session is live, or too few have ended to know how long they last.";
    return [falls, why].flatMap((line) => wrapped(line, "", cli.width));
  }
  const title = `Share of the present sessions that would still hold ${id} after a cutover:`;
  return [...wrapped(falls, "", cli.width), "", title, ...tailTable(cli, tail, normal, least)];
}

/** Up to the first moment at which next to nothing is left either way. */
function tailTable(cli: Cli, tail: NonNullable<PreparedView["tail"]>, normal: string, least: string): string[] {
  const over = tail.findIndex((point) => percent(point.normal) === "0%" && percent(point.prepared) === "0%");
  const shown = over === -1 ? tail : tail.slice(0, over + 1);
  const rows = shown.map((point) => [
    point.afterMs === 0 ? "at once" : formatDuration(point.afterMs),
    percent(point.normal),
    percent(point.prepared),
  ]);
  const columns = [
    { title: "AFTER" },
    { title: `LINGER ${normal}`, align: "right" as const },
    { title: `LINGER ${least}`, align: "right" as const },
  ];
  return table(columns, rows, cli.paint, cli.width);
}

function percent(share: number): string {
  const percents = share * 100;
  return `${Number(percents.toFixed(percents < 10 ? 1 : 0))}%`;
}

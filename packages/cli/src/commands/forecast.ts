import type { Command } from "commander";
import type { ForecastView, ServiceView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { curve } from "../output/curve.ts";
import { moment, toLocal } from "../output/moment.ts";
import { keptText, retirementText, windowFacts } from "../output/retention-text.ts";
import { sessionsText } from "../output/session-count.ts";
import { printable } from "../output/table.ts";
import { wrapped } from "../output/wrap.ts";
import { serviceAndMaybeRelease } from "../target.ts";

/** Columns of a picture in a pipe. */
const PIPE_COLUMNS = 80;

export function addForecast(program: Command, cli: Cli): void {
  const command = program
    .command("forecast")
    .description("Say when retained releases will have retired, and draw how many sessions are left until then")
    .argument("[service]", "may be left out where the configuration has just one")
    .argument("[release]", "else every retained one; without any, the current one as if it were replaced now")
    .action(cli.action(async (first?: string, second?: string) => forecast(cli, first, second)));
  addExamples(command, [
    ["holdover forecast", "of all that is retained"],
    ["holdover forecast rooms v1", "of one release"],
    ["holdover forecast --json", "an array; with a release named, one object"],
  ]);
}

async function forecast(cli: Cli, first: string | undefined, second: string | undefined): Promise<number> {
  const { api, located } = await cli.connect();
  const { service, release } = serviceAndMaybeRelease(first, second, located);
  const releases = release === undefined ? leavingOrCurrent(await api.service(service)) : [release];
  const views: ForecastView[] = [];
  for (const id of releases) views.push(await api.forecast(service, id));
  if (cli.json) cli.printJson(release === undefined ? views : views[0]);
  else if (views.length === 0) cli.print(`Service ${service} has no release with sessions to forecast.`);
  else cli.print(views.map((view) => lines(cli, view).join("\n")).join("\n\n"));
  return 0;
}

/** Newest first: those that take no new session and still have some to finish; where there is none, the current one. */
function leavingOrCurrent({ releases, current }: ServiceView): string[] {
  const leaving = releases.filter(({ state }) => state === "retained" || state === "expiring").toReversed();
  if (leaving.length > 0) return leaving.map(({ id }) => id);
  return current === null ? [] : [current];
}

function lines(cli: Cli, view: ForecastView): string[] {
  const { width, unicode, paint } = cli;
  const drawn = view.left ?? [];
  const picture = curve(drawn, { width: width ?? PIPE_COLUMNS, unicode, toLocal, paint });
  return [
    ...[factsOf(view), ...windowOf(view)].flatMap((line) => wrapped(printable(line), "  ", width)),
    ...(picture.length > 0 ? ["", ...picture] : []),
  ];
}

/** Sessions, retirement and what that rests on, or why nobody can tell. */
function factsOf({ service, release, state, nowMs, sessions, lengths, trials, retires }: ForecastView): string {
  const subject = `${service} ${release} is ${state}`;
  const takesNew = state !== "retained" && state !== "expiring";
  if (sessions === null) return `${subject}: nobody can tell when it retires, for its sessions cannot be counted now`;
  if (sessions === 0) return `${subject}: no session ${takesNew ? "holds it" : "is left"}`;
  const left = `${subject}: ${sessionsText(sessions)} ${takesNew ? (sessions === 1 ? "holds it" : "hold it") : "left"}`;
  if (!retires) {
    const why = lengths.known ? "no forecast has been made yet" : lengths.why;
    return `${left}; nobody can tell when it ${takesNew ? "would retire" : "retires"}: ${why}`;
  }
  const when = `${takesNew ? "; if it were replaced now, it would retire" : ", retires"} ${retirementText(retires, nowMs)}`;
  const corrected =
    trials === 0
      ? "not yet corrected by a past forecast"
      : `corrected by ${trials} past ${trials === 1 ? "forecast" : "forecasts"}`;
  return `${left}${when}, from ${lengths.ends} ended sessions, ${corrected}`;
}

/** What the window will do; of the current release, where that is told. */
function windowOf({ retention, nowMs, service, state }: ForecastView): string[] {
  if (!retention) return state === "current" ? [`What its window would do: \`holdover plan deploy ${service}\``] : [];
  const { policy, rule, floorUntilMs, why } = retention;
  const set = rule === "forecast" ? ", as forecast" : "";
  const warm = floorUntilMs > nowMs ? [`warm for a rollback until ${moment(floorUntilMs, nowMs)}`] : [];
  const facts = [`${keptText(retention, nowMs)}${set}`, ...windowFacts(retention, nowMs), ...warm];
  // What set a deadline by the forecast is the line above.
  return [`window (${policy}): ${facts.join("; ")}`, ...(rule === "forecast" ? [] : [why])];
}

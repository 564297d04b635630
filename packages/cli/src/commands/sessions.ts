import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { EndedSessionView, LiveSessionView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readCount } from "../option-values.ts";
import { age, moment } from "../output/moment.ts";
import { table } from "../output/table.ts";
import { addMoveSession } from "./move-session.ts";
import { addOpenSession } from "./open-session.ts";

interface SessionsOptions {
  readonly release?: string;
  readonly key?: string;
  readonly search?: string;
  readonly limit: number;
  readonly ended?: boolean;
}

export function addSessions(program: Command, cli: Cli): void {
  const command = program
    .command("sessions")
    .description("List live sessions, oldest first; or those that ended, newest first")
    .argument("[service]", "only of this service")
    .option("--release <id>", "only on this release")
    .option("--key <key>", "only the session with this key")
    .option("--search <text>", "only sessions with this in their key, in capitals or not")
    .option("--limit <number>", "how many at the most, 1 to 10000", readCount, 100)
    .option("--ended", "sessions that are over, with the reason")
    .action(
      cli.action(async (service: string | undefined, options: SessionsOptions) => sessions(cli, service, options)),
    );
  addExamples(command, [
    ["holdover sessions --release v1", "what still lives on v1"],
    ["holdover sessions --search ana", "those with ana in their key"],
    ["holdover sessions --ended --limit 20", "how the last ones ended"],
  ]);
  addOpenSession(command, cli);
  addMoveSession(command, cli);
}

async function sessions(cli: Cli, service: string | undefined, options: SessionsOptions): Promise<number> {
  for (const name of ["key", "search"] as const) {
    if (!options.ended || options[name] === undefined) continue;
    throw new HoldoverError("USAGE_INVALID", {
      problem: `--ended and --${name} exclude each other: the history is kept by service and release.`,
      remedy: `Leave --${name} out.`,
    });
  }
  const { api } = await cli.connect();
  const { release, key, search, limit } = options;
  if (options.ended) {
    const ended = await api.history({ service, release, limit });
    show(cli, ended, endedLines);
    if (ended.length === limit && !cli.json) cli.note(`There may be more than these ${limit}: --limit.`);
    return 0;
  }
  const { sessions: live, matches } = await api.sessions({ service, release, key, search, limit });
  show(cli, live, liveLines);
  if (matches > live.length && !cli.json) cli.note(`There are ${matches - live.length} more: --limit.`);
  return 0;
}

function show<Session>(
  cli: Cli,
  found: readonly Session[],
  linesOf: (cli: Cli, found: readonly Session[]) => string[],
): void {
  if (cli.json) cli.printJson(found);
  else for (const line of linesOf(cli, found)) cli.print(line);
}

function liveLines(cli: Cli, sessions: readonly LiveSessionView[]): string[] {
  const nowMs = cli.terminal.now();
  const labelled = sessions.some(({ label }) => label !== null);
  const wedged = sessions.some(({ wedgedSinceMs }) => wedgedSinceMs !== null);
  const rows = sessions.map((session) => [
    session.service,
    session.key,
    session.release,
    session.instance ?? "none",
    session.lingeringSinceMs === null ? session.state : `${session.state} ${age(nowMs - session.lingeringSinceMs)}`,
    String(session.connections),
    age(nowMs - session.openedAtMs),
    String(session.fence),
    ...(labelled ? [session.label ?? ""] : []),
    ...(wedged ? [session.wedgedSinceMs === null ? "" : age(nowMs - session.wedgedSinceMs)] : []),
  ]);
  const columns = [
    { title: "SERVICE", shrinks: true },
    { title: "KEY", shrinks: true },
    { title: "RELEASE", shrinks: true },
    { title: "INSTANCE", shrinks: true },
    { title: "STATE" },
    { title: "CONN", align: "right" as const },
    { title: "AGE" },
    { title: "FENCE", align: "right" as const },
    ...(labelled ? [{ title: "LABEL", shrinks: true }] : []),
    ...(wedged ? [{ title: "WEDGED" }] : []),
  ];
  return table(columns, rows, cli.paint, cli.width);
}

function endedLines(cli: Cli, sessions: readonly EndedSessionView[]): string[] {
  const nowMs = cli.terminal.now();
  const labelled = sessions.some(({ label }) => label !== null);
  const rows = sessions.map((session) => [
    session.service,
    session.key,
    session.release,
    session.instance,
    session.reason,
    age(session.endedAtMs - session.openedAtMs),
    moment(session.endedAtMs, nowMs),
    ...(labelled ? [session.label ?? ""] : []),
  ]);
  const columns = [
    { title: "SERVICE", shrinks: true },
    { title: "KEY", shrinks: true },
    { title: "RELEASE", shrinks: true },
    { title: "INSTANCE", shrinks: true },
    { title: "REASON" },
    { title: "LENGTH" },
    { title: "ENDED" },
    ...(labelled ? [{ title: "LABEL", shrinks: true }] : []),
  ];
  return table(columns, rows, cli.paint, cli.width);
}

import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { EndedSessionView, LiveSessionView, SessionFilter } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readCount } from "../option-values.ts";
import { age, moment } from "../output/moment.ts";
import { table } from "../output/table.ts";
import { addOpenSession } from "./open-session.ts";

interface SessionsOptions {
  readonly release?: string;
  readonly key?: string;
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
    .option("--limit <number>", "how many at the most, 1 to 10000", readCount, 100)
    .option("--ended", "sessions that are over, with the reason")
    .action(
      cli.action(async (service: string | undefined, options: SessionsOptions) => sessions(cli, service, options)),
    );
  addExamples(command, [
    ["holdover sessions --release v1", "what still lives on v1"],
    ["holdover sessions --ended --limit 20", "how the last ones ended"],
  ]);
  addOpenSession(command, cli);
}

async function sessions(cli: Cli, service: string | undefined, options: SessionsOptions): Promise<number> {
  if (options.ended && options.key !== undefined) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: "--ended and --key exclude each other: the history is kept by service and release.",
      remedy: "Leave --key out.",
    });
  }
  const { api } = await cli.connect();
  const filter: SessionFilter = { service, release: options.release, key: options.key, limit: options.limit };
  const found = options.ended ? await api.history(filter) : await api.sessions(filter);
  if (cli.json) {
    cli.printJson(found);
    return 0;
  }
  const lines = options.ended
    ? endedLines(cli, found as readonly EndedSessionView[])
    : liveLines(cli, found as readonly LiveSessionView[]);
  for (const line of lines) cli.print(line);
  if (found.length === options.limit) cli.note(`There may be more than these ${options.limit}: --limit.`);
  return 0;
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

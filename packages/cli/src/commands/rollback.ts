import { HoldoverError, type SessionCount } from "@holdover/core";
import { Option, type Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { liveSessions } from "../output/session-count.ts";
import { openQuestions } from "../question.ts";
import { serviceOf } from "../target.ts";

interface RollbackOptions {
  readonly to?: string;
  readonly sessions: "finish" | "cut";
  readonly yes?: boolean;
}

export function addRollback(program: Command, cli: Cli): void {
  const command = program
    .command("rollback")
    .description("Make the release before current again, at once: it is still warm")
    .argument("[service]", "may be left out where the configuration has just one")
    .option("--to <release>", "else the one that was current before")
    .addOption(
      new Option("--sessions <what>", "what becomes of the sessions on the release that is left")
        .choices(["finish", "cut"])
        .default("finish"),
    )
    .option("-y, --yes", "do not ask before sessions are cut")
    .action(
      cli.action(async (service: string | undefined, options: RollbackOptions) => rollback(cli, service, options)),
    );
  addExamples(command, [
    ["holdover rollback", "live sessions finish on it"],
    ["holdover rollback --to v1 --sessions cut", "live sessions are cut"],
  ]);
}

async function rollback(cli: Cli, named: string | undefined, options: RollbackOptions): Promise<number> {
  const { api, located } = await cli.connect();
  const service = serviceOf(named, located);
  const { current, releases } = await api.service(service);
  const left = releases.find(({ id }) => id === current);
  if (options.sessions === "cut" && !options.yes) await confirmCut(cli, service, left?.sessions ?? null);
  const view = await api.rollback(service, {
    sessions: options.sessions,
    ...(options.to !== undefined && { to: options.to }),
  });
  if (cli.json) cli.printJson(view);
  else {
    const rest = left
      ? `; ${liveSessions(left.sessions)} of ${left.id} ${options.sessions === "cut" ? "are being cut" : "finish there"}`
      : "";
    cli.print(`Release ${view.id} of ${view.service} is ${view.state}${rest}.`);
  }
  return 0;
}

/** @throws HoldoverError USAGE_INVALID without a terminal; NOT_CONFIRMED */
async function confirmCut(cli: Cli, service: string, count: SessionCount | null): Promise<void> {
  const what = `This ends ${liveSessions(count)} of ${service}.`;
  if (!cli.terminal.stdin.isTTY || cli.json) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: `${what} Nobody is there to confirm it.`,
      remedy: "Add --yes if they may be cut, or leave --sessions cut out.",
    });
  }
  const questions = openQuestions(cli.terminal);
  const answer = await questions.ask(`${what} Type the name of the service to go on: `);
  questions.close();
  if (answer?.trim() !== service) throw new HoldoverError("NOT_CONFIRMED", { expected: service });
}

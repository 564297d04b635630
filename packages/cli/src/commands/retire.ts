import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { liveSessions } from "../output/session-count.ts";
import { serviceAndRelease } from "../target.ts";

export function addRetire(program: Command, cli: Cli): void {
  const command = program
    .command("retire")
    .usage("[options] [service] <release>")
    .description("End a release before its window is over, or give up one that is being deployed")
    .argument("<words...>", "service (may be left out where there is just one) and release")
    .option("--now", "cut its sessions at once, paced, instead of asking them to move first")
    .action(
      cli.action(async (words: string[], options: { now?: boolean }) => retire(cli, words, options.now === true)),
    );
  addExamples(command, [
    ["holdover retire v1", "sessions move, and are cut after the grace"],
    ["holdover retire rooms v1 --now", "they are cut"],
  ]);
}

async function retire(cli: Cli, words: readonly string[], now: boolean): Promise<number> {
  if (words.length > 2) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: "retire takes one release, and the service before it where there are several.",
      remedy: "For example `holdover retire v1`.",
    });
  }
  const { api, located } = await cli.connect();
  const { service, release } = serviceAndRelease(words, located);
  const view = await api.retire(service, release, now);
  if (cli.json) cli.printJson(view);
  else {
    const left = view.state === "retired" ? "" : ` with ${liveSessions(view.sessions)}`;
    cli.print(`Release ${view.id} of ${view.service} is ${view.state}${left}.`);
  }
  return 0;
}

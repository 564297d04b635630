import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { HoldoverError } from "@holdover/core";
import { readPercent } from "../option-values.ts";
import { InvalidArgumentError } from "commander";
import { serviceAndRelease } from "../target.ts";

export function addRamp(program: Command, cli: Cli): void {
  const command = program
    .command("ramp")
    .usage("[options] [service] <release> <percent>")
    .description("Give a ready or retained release a share of the new sessions")
    .argument("<words...>", "service (may be left out where there is just one), release, and the percentage")
    .action(cli.action(async (words: string[]) => ramp(cli, words)));
  addExamples(command, [
    ["holdover ramp v2 10", "10% of the new sessions start on v2"],
    ["holdover ramp rooms v2 50", "the service named"],
  ]);
}

async function ramp(cli: Cli, words: readonly string[]): Promise<number> {
  const last = words.at(-1);
  if (words.length < 2 || words.length > 3 || last === undefined) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: "ramp takes a release and a percentage, and the service before them where there are several.",
      remedy: "For example `holdover ramp v2 10`.",
    });
  }
  const percent = percentOf(last);
  const { api, located } = await cli.connect();
  const { service, release } = serviceAndRelease(words.slice(0, -1), located);
  const view = await api.ramp(service, release, percent);
  if (cli.json) cli.printJson(view);
  else cli.print(`Release ${view.id} of ${view.service} takes ${view.percent}% of the new sessions.`);
  return 0;
}

function percentOf(word: string): number {
  try {
    return readPercent(word);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new HoldoverError("USAGE_INVALID", { problem: `"${word}" is no percentage.`, remedy: error.message });
  }
}

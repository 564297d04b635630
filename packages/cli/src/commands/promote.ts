import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { serviceAndMaybeRelease } from "../target.ts";

export function addPromote(program: Command, cli: Cli): void {
  const command = program
    .command("promote")
    .description("Make a release that is ready or ramping the current one")
    .argument("[service]", "may be left out where the configuration has just one")
    .argument("[release]", "else the one that is ready or ramping")
    .action(
      cli.action(async (first: string | undefined, second: string | undefined) => {
        const { api, located } = await cli.connect();
        const { service, release } = serviceAndMaybeRelease(first, second, located);
        const view = await api.promote(service, release ?? (await waitingRelease(api, service)));
        if (cli.json) cli.printJson(view);
        else cli.print(`Release ${view.id} of ${view.service} is ${view.state}.`);
        return 0;
      }),
    );
  addExamples(command, [
    ["holdover promote", "the release that is ready or ramping"],
    ["holdover promote rooms v2", "this one"],
  ]);
}

/** @throws HoldoverError USAGE_INVALID where none waits, or several do */
async function waitingRelease(api: ApiClient, service: string): Promise<string> {
  const { releases } = await api.service(service);
  const waiting = releases.filter(({ state }) => state === "ready" || state === "ramping").map(({ id }) => id);
  const [only] = waiting;
  if (only !== undefined && waiting.length === 1) return only;
  throw new HoldoverError("USAGE_INVALID", {
    problem: `Service ${service} has ${waiting.length === 0 ? "no release that is ready or ramping" : `several: ${waiting.join(", ")}`}.`,
    remedy: `Name the release: \`holdover promote ${service} RELEASE\`.`,
  });
}

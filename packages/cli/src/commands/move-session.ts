import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { serviceOf } from "../target.ts";

/** @param sessions the command that this one is under */
export function addMoveSession(sessions: Command, cli: Cli): void {
  const move = sessions
    .command("move")
    .description("Have one session placed anew: its connections are asked to come back, within the disconnect cap")
    .argument("<key>", "its session key")
    .argument("[service]", "may be left out where the configuration has just one")
    .action(
      cli.action(async (key: string, named: string | undefined) => {
        const { api, located } = await cli.connect();
        const moved = await api.moveSession(serviceOf(named, located), key);
        if (cli.json) {
          cli.printJson(moved);
          return 0;
        }
        const { release, connections, to, job } = moved;
        const asked = connections === 1 ? "its connection is" : `its ${connections} connections are`;
        if (job)
          cli.print(`Session ${key} is a job on release ${release}: it is asked to finish, and stays until it has.`);
        else if (connections === 0)
          cli.print(`Session ${key} leaves release ${release}; whoever comes back is placed on ${to}.`);
        else cli.print(`Session ${key} leaves release ${release}: ${asked} asked to come back, and placed on ${to}.`);
        return 0;
      }),
    );
  addExamples(move, [["holdover sessions move lobby", "lobby goes on where a new session would begin"]]);
}

import type { Command } from "commander";
import type { InstanceView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { age } from "../output/moment.ts";
import { styleOfState } from "../output/paint.ts";
import { liveText } from "../output/session-count.ts";
import { table, type Cell } from "../output/table.ts";

export function addInstances(program: Command, cli: Cli): void {
  const command = program
    .command("instances")
    .description("List instances: those alive, then the last that ended")
    .argument("[service]", "only of this service")
    .action(
      cli.action(async (service: string | undefined) => {
        const { api } = await cli.connect();
        const all = await api.instances();
        const found = all.filter((instance) => service === undefined || instance.service === service);
        if (cli.json) cli.printJson(found);
        else for (const line of lines(cli, found)) cli.print(line);
        return 0;
      }),
    );
  addExamples(command, [["holdover instances", "of all services"]]);
}

function lines(cli: Cli, instances: readonly InstanceView[]): string[] {
  const nowMs = cli.terminal.now();
  const rows = instances.map((instance): Cell[] => {
    const over = instance.state === "stopped" || instance.state === "lost";
    return [
      instance.id,
      { text: instance.state, style: styleOfState(instance.state) },
      instance.address,
      instance.pid === null ? "" : String(instance.pid),
      over ? "" : liveText(instance.sessions),
      over ? "" : String(instance.sessions?.connections ?? "?"),
      age(nowMs - instance.sinceMs),
      instance.problem ?? "",
    ];
  });
  const columns = [
    { title: "INSTANCE", shrinks: true },
    { title: "STATE" },
    { title: "ADDRESS" },
    { title: "PID", align: "right" as const },
    { title: "LIVE", align: "right" as const },
    { title: "CONN", align: "right" as const },
    { title: "FOR" },
    { title: "PROBLEM", shrinks: true },
  ];
  return table(columns, rows, cli.paint, cli.width);
}

import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { age } from "../output/moment.ts";
import { styleOfState } from "../output/paint.ts";
import { liveText } from "../output/session-count.ts";
import { table } from "../output/table.ts";

export function addReleases(program: Command, cli: Cli): void {
  const command = program
    .command("releases")
    .description("List releases, newest first")
    .argument("[service]", "only of this service")
    .action(cli.action(async (service: string | undefined) => releases(cli, service)));
  addExamples(command, [["holdover releases rooms", "all that are known of one service"]]);
}

async function releases(cli: Cli, service: string | undefined): Promise<number> {
  const { api } = await cli.connect();
  const { services, nowMs } = await api.status();
  if (service !== undefined && !services.some(({ name }) => name === service)) {
    const known = services.map(({ name }) => name).join(", ") || "none yet";
    throw new HoldoverError("SERVICE_UNKNOWN", { service, known });
  }
  const found = services
    .filter(({ name }) => service === undefined || name === service)
    .flatMap((one) => one.releases.toReversed());
  if (cli.json) {
    cli.printJson(found);
    return 0;
  }
  const rows = found.map((release) => [
    release.service,
    release.id,
    {
      text: release.state === "ramping" ? `ramping ${release.percent}%` : release.state,
      style: styleOfState(release.state),
    },
    release.admission,
    liveText(release.sessions),
    release.sessions ? String(release.sessions.connections) : "?",
    age(nowMs - release.sinceMs),
    release.digest?.replace(/^sha256:/, "").slice(0, 12) ?? "",
  ]);
  const columns = [
    { title: "SERVICE", shrinks: true },
    { title: "RELEASE", shrinks: true },
    { title: "STATE" },
    { title: "TAKES" },
    { title: "LIVE", align: "right" as const },
    { title: "CONN", align: "right" as const },
    { title: "FOR" },
    { title: "DIGEST" },
  ];
  for (const line of table(columns, rows, cli.paint, cli.width)) cli.print(line);
  return 0;
}

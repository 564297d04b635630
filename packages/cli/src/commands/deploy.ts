import { resolve } from "node:path";
import { HoldoverError, type DeployIntent } from "@holdover/core";
import { Option, type Command } from "commander";
import type { ApiClient, Build, ReleaseView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { loadConfig, type LoadedConfig } from "../config/load.ts";
import { followDeploy } from "../follow-deploy.ts";
import { addExamples } from "../help-text.ts";
import { readDuration, readPercent, readReleaseId } from "../option-values.ts";
import { liveSessions } from "../output/session-count.ts";
import { serviceOf } from "../target.ts";

interface DeployOptions {
  readonly release?: string;
  readonly dir?: string;
  readonly ramp?: number;
  readonly promote: boolean;
  readonly allowStateLoss?: boolean;
  readonly timeout: number;
}

export function addDeploy(program: Command, cli: Cli): void {
  const command = program
    .command("deploy")
    .description("Take a new release up and make it current; the one before keeps its sessions")
    .argument("[service]", "may be left out where the configuration has just one")
    // Not a required option of commander's: it would miss it before it could tell that it was only misspelt.
    .option("--release <id>", "a version or a git SHA, never used before (required)", readReleaseId)
    .option("--dir <dir>", "the directory of the build; else `dir` of the service")
    .addOption(new Option("--ramp <percent>", "give it this share of the new sessions first").argParser(readPercent))
    .option("--no-promote", "only get it ready; promote it later")
    .option("--allow-state-loss", "go on although a rollback would lose what sessions keep; audited")
    .addOption(
      new Option("--timeout <duration>", "stop watching after this long")
        .argParser(readDuration)
        .default(600_000, "10m"),
    )
    .action(cli.action(async (service: string | undefined, options: DeployOptions) => deploy(cli, service, options)));
  addExamples(command, [
    ["holdover deploy --release v2 --dir ./build", "until it is current"],
    ["holdover deploy rooms --release v2 --ramp 10", "until it takes 10%"],
    ["holdover deploy --release v2 --no-promote", "until it is ready"],
  ]);
}

async function deploy(cli: Cli, named: string | undefined, options: DeployOptions): Promise<number> {
  const { release } = options;
  if (release === undefined)
    throw usage("Which release is it to be?", "Name it: --release ID, for example v2 or a SHA.");
  if (options.ramp !== undefined && !options.promote) {
    throw usage("--ramp and --no-promote exclude each other.", "Give one of the two.");
  }
  const { api, located } = await cli.connect();
  const loaded = await loadConfig(located.file, cli.terminal.cwd);
  const service = serviceOf(named, located);
  const { services } = await api.status();
  const known = services.find(({ name }) => name === service);
  const before = known?.releases.find(({ id }) => id === release);
  const build = buildOf(service, options.dir && resolve(cli.terminal.cwd, options.dir), loaded, before);
  await api.deploy(service, release, build, intentOf(options), options.allowStateLoss);
  const hasGate = loaded.config.services[service]?.gate !== undefined;
  const done = await followDeploy(cli, api, { service, release, hasGate, timeoutMs: options.timeout });
  if (done === "interrupted") return 130;
  if (cli.json) cli.printJson(done);
  else cli.print(await summary(api, done, known?.current ?? undefined));
  return 0;
}

function intentOf({ ramp, promote }: DeployOptions): DeployIntent {
  if (ramp !== undefined) return { then: "ramp", percent: ramp };
  return { then: promote ? "promote" : "wait" };
}

/**
 * What is deployed: the section of the file and the directory. A retired release is brought back as it was, from its
 * own copy, unless a directory is named.
 * @param dir absolute; the one that was named with --dir
 * @throws HoldoverError SERVICE_UNKNOWN, USAGE_INVALID
 */
function buildOf(
  service: string,
  dir: string | undefined,
  { config, dir: configDir, sections, file }: LoadedConfig,
  before: ReleaseView | undefined,
): Build {
  const definition = sections[service];
  if (dir !== undefined) return { definition, dir };
  if (before?.state === "retired") return {};
  const configured = config.services[service]?.dir;
  if (configured !== undefined) return { definition, dir: resolve(configDir, configured) };
  if (definition === undefined) {
    throw new HoldoverError("SERVICE_UNKNOWN", { service, known: Object.keys(sections).join(", ") });
  }
  throw usage(
    `Service ${service} has no directory to deploy.`,
    `Name the directory of the build with --dir, or set \`dir\` of the service in ${file}.`,
  );
}

function usage(problem: string, remedy: string): HoldoverError {
  return new HoldoverError("USAGE_INVALID", { problem, remedy });
}

async function summary(api: ApiClient, done: ReleaseView, previous: string | undefined): Promise<string> {
  const name = `Release ${done.id} of ${done.service}`;
  const next = `Next: \`holdover promote ${done.service} ${done.id}\`.`;
  if (done.state === "ready") return `${name} is ready and takes no session yet. ${next}`;
  if (done.state === "ramping") return `${name} takes ${done.percent}% of the new sessions. ${next}`;
  if (done.state !== "current") return `${name} has been current and is ${done.state} by now.`;
  if (previous === undefined || previous === done.id) return `${name} is current.`;
  const left = await api.release(done.service, previous);
  return `${name} is current; ${left.id} is ${left.state} with ${liveSessions(left.sessions)}.`;
}

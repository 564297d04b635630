import { asHoldoverError, ERRORS, HoldoverError } from "@holdover/core";
import { Command, CommanderError } from "commander";
import { createCli, type Cli } from "./cli.ts";
import { addAudit } from "./commands/audit.ts";
import { addBackup } from "./commands/backup.ts";
import { addCompat } from "./commands/compat.ts";
import { addDashboard } from "./commands/dashboard.ts";
import { addDeploy } from "./commands/deploy.ts";
import { addDown } from "./commands/down.ts";
import { addForecast } from "./commands/forecast.ts";
import { addInit } from "./commands/init.ts";
import { addInstances } from "./commands/instances.ts";
import { addLogs } from "./commands/logs.ts";
import { addMembership } from "./commands/membership.ts";
import { addPlan } from "./commands/plan.ts";
import { addPrepare } from "./commands/prepare.ts";
import { addPromote } from "./commands/promote.ts";
import { addRamp } from "./commands/ramp.ts";
import { addReleases } from "./commands/releases.ts";
import { addRestart } from "./commands/restart.ts";
import { addRetire } from "./commands/retire.ts";
import { addRollback } from "./commands/rollback.ts";
import { addSessions } from "./commands/sessions.ts";
import { addSimulate } from "./commands/simulate.ts";
import { addStatus } from "./commands/status.ts";
import { addToken } from "./commands/token.ts";
import { addUp } from "./commands/up.ts";
import { addExamples } from "./help-text.ts";
import { failureJson, failureLines } from "./output/failure.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** Runs the command line of this process and leaves its exit code to it. */
export async function runProcess(): Promise<void> {
  endQuietlyWithTheReader();
  process.exitCode = await main(process.argv.slice(2), processTerminal());
}

/**
 * Runs one command line.
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration, 3 not reachable, 4 refused, 130 interrupted
 */
export async function main(words: readonly string[], terminal: Terminal): Promise<number> {
  const exit = { code: 0 };
  const program = createProgram(terminal, exit);
  try {
    await program.parseAsync(words, { from: "user" });
    return exit.code;
  } catch (thrown) {
    // Help and version have been written.
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    // Help that nobody asked for: a command is missing.
    if (thrown instanceof CommanderError && thrown.code === "commander.help" && !isJson(words)) {
      return ERRORS.USAGE_INVALID.exit;
    }
    const error = thrown instanceof CommanderError ? usageError(thrown, program, words) : asHoldoverError(thrown);
    report(error, terminal, isJson(words));
    return error.exit;
  }
}

function createProgram(terminal: Terminal, exit: { code: number }): Command {
  const { stdout, stderr } = terminal;
  const program = new Command("holdover")
    .description("Ship a new release of a service without ending a single live session.")
    .version(VERSION, "-V, --version", "show the version")
    .option("--config <file>", "the configuration; else holdover.yaml here or in a directory above")
    .option("--json", "print one line of JSON for a script, errors as well")
    .option("--no-color", "no colours (NO_COLOR does the same; there are none in a pipe)")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    // The usage says more than the names of the arguments: for ramp, which of them may be left out.
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 80,
      getErrHelpWidth: () => stderr.columns ?? 80,
      // What is wrong is told by report(), in the same three lines as every other error.
      outputError: () => {},
    })
    .exitOverride();
  const cli = createCli(terminal, program, exit);
  for (const add of COMMANDS) add(program, cli);
  return addExamples(program, [
    ["holdover init", "write holdover.yaml"],
    ["holdover up", "start"],
    ["holdover deploy --release v2 --dir ./v2", "ship; live sessions stay on v1"],
    ["holdover status -w", "see them end"],
    ["holdover rollback", "go back, at once"],
  ]);
}

const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addInit,
  addUp,
  addDown,
  addDashboard,
  addDeploy,
  addStatus,
  addReleases,
  addInstances,
  addSessions,
  addRamp,
  addPromote,
  addRollback,
  addRetire,
  addRestart,
  addPrepare,
  addForecast,
  addPlan,
  addCompat,
  addLogs,
  addAudit,
  addBackup,
  addToken,
  addMembership,
  addSimulate,
];

/** What commander has to say, in our three lines: its own message, and its guess or the way to the help. */
function usageError(error: CommanderError, program: Command, words: readonly string[]): HoldoverError {
  if (error.code === "commander.help") {
    return new HoldoverError("USAGE_INVALID", { problem: "A command is missing.", remedy: "See `holdover --help`." });
  }
  const [message = "", guess] = error.message.replace(/^error: /, "").split("\n");
  const command = program.commands.find((one) => words.includes(one.name()));
  const help = `See \`holdover ${command ? `${command.name()} ` : ""}--help\`.`;
  const problem = `${message.charAt(0).toUpperCase()}${message.slice(1)}`.replace(/([^.])$/, "$1.");
  return new HoldoverError(
    "USAGE_INVALID",
    { problem, remedy: guess ? `${guess.replace(/^\(|\)$/g, "")} ${help}` : help },
    { cause: error },
  );
}

function report(error: HoldoverError, terminal: Terminal, json: boolean): void {
  if (json) terminal.stdout.write(`${JSON.stringify(failureJson(error))}\n`);
  else terminal.stderr.write(`${failureLines(error, terminal).join("\n")}\n`);
}

/** Asked of the words themselves: the error may be that they could not be parsed. */
function isJson(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return (end === -1 ? words : words.slice(0, end)).includes("--json");
}

/** `holdover status | head -1`: a reader that has seen enough is no error. */
function endQuietlyWithTheReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (stream === process.stdout) process.exit();
    });
  }
}

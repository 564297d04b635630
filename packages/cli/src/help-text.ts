import type { Command } from "commander";

const EXIT_CODES = `
Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration,
            3 Holdover is not reachable, 4 refused as things stand.`;

/** Adds examples and the exit codes to the help of a command. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [line: string, meaning: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  $ ${line.padEnd(width)}  ${meaning}`);
  return command.addHelpText("after", ["", "Examples:", ...lines, EXIT_CODES].join("\n"));
}

import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { HoldoverError, SERVICE_NAME } from "@holdover/core";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { configTemplate, type TemplateAnswers } from "../config/template.ts";
import { addExamples } from "../help-text.ts";
import { openQuestions } from "../question.ts";

interface InitOptions {
  readonly dir?: string;
  readonly command?: string;
  readonly service?: string;
  readonly force?: boolean;
}

export function addInit(program: Command, cli: Cli): void {
  const command = program
    .command("init")
    .description("Write a holdover.yaml with comments; asks three questions on a terminal")
    .option("--service <name>", "the name of the service")
    .option("--command <command>", "the program and its arguments")
    .option("--dir <dir>", "the directory of the build, from the file's own")
    .option("--force", "replace a file that is there")
    .action(cli.action(async (options: InitOptions) => init(cli, options)));
  addExamples(command, [
    ["holdover init", "asks"],
    ['holdover init --service rooms --command "node server.js" --dir .', "does not"],
  ]);
}

async function init(cli: Cli, options: InitOptions): Promise<number> {
  const shown = cli.configOption ?? "holdover.yaml";
  const file = resolve(cli.terminal.cwd, shown);
  const defaults = await defaultsFor(dirname(file));
  const answers = await answersFrom(cli, options, defaults);
  if (!answers) return 130;
  if (!SERVICE_NAME.test(answers.service)) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: `"${answers.service}" cannot be the name of a service.`,
      remedy: "Write 1 to 40 of a-z, 0-9 and dash, the first no dash.",
    });
  }
  try {
    await writeFile(file, configTemplate(answers), { flag: options.force ? "w" : "wx" });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw new HoldoverError("CONFIG_EXISTS", { file: shown }, { cause: error });
    }
    throw error;
  }
  if (cli.json) cli.printJson({ file, ...answers });
  else cli.print(`Wrote ${shown}. Next: \`holdover up\`.`);
  return 0;
}

const QUESTIONS = [
  ["service", "Name of the service"],
  ["command", "Command that starts it (it listens on the port in PORT)"],
  ["dir", "Directory of the build"],
] as const;

/** Flags first, then what is answered on a terminal, then the defaults. Undefined where the questions were broken off. */
async function answersFrom(
  cli: Cli,
  options: InitOptions,
  defaults: TemplateAnswers,
): Promise<TemplateAnswers | undefined> {
  const { stdin, stderr } = cli.terminal;
  const asks = stdin.isTTY === true && stderr.isTTY === true && !cli.json;
  const answers = { ...defaults };
  const person = asks ? openQuestions(cli.terminal) : undefined;
  try {
    for (const [name, question] of QUESTIONS) {
      const given = options[name] ?? (person ? await person.ask(`${question} [${defaults[name]}]: `) : "");
      if (given === undefined) return undefined;
      if (given.trim() !== "") answers[name] = given.trim();
    }
    return answers;
  } finally {
    person?.close();
  }
}

async function defaultsFor(dir: string): Promise<TemplateAnswers> {
  const slug = basename(dir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  return { service: slug || "app", command: (await startScript(dir)) ?? "node server.js", dir: "." };
}

/** The start script of package.json, where it is a plain program: no shell will read it. */
async function startScript(dir: string): Promise<string | undefined> {
  const text = await readFile(join(dir, "package.json"), "utf8").catch(() => "{}");
  const start = /"start"\s*:\s*"([^"\\]+)"/.exec(text)?.[1];
  return start !== undefined && /^[\w./@-]+( [\w./@:=-]+)*$/.test(start) ? start : undefined;
}

import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { HoldoverError, SERVICE_NAME, type KeyPlace } from "@holdover/core";
import type { Command } from "commander";
import { hintsIn, type SourceHints } from "../app/source-hints.ts";
import { sourcesIn } from "../app/sources.ts";
import { startCommandIn, type StartCommand } from "../app/start-command.ts";
import type { Cli } from "../cli.ts";
import { KEY_PLACES_FORM, keyPlaceText, readKeyPlaces } from "../config/key-places.ts";
import { configTemplate, type TemplateAnswers } from "../config/template.ts";
import { addExamples } from "../help-text.ts";
import { openQuestions } from "../question.ts";

interface InitOptions {
  readonly dir: string;
  readonly command?: string;
  readonly service?: string;
  readonly sessionKey?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
}

export function addInit(program: Command, cli: Cli): void {
  const command = program
    .command("init")
    .description("Write a holdover.yaml for an application; asks three questions on a terminal")
    .option("--service <name>", "the name of the service")
    .option("--command <command>", "the program and its arguments")
    .option("--session-key <places>", `where a request names its session: ${KEY_PLACES_FORM}`)
    .option("--dir <dir>", "the directory of the build, from the file's own", ".")
    .option("-y, --yes", "take the defaults and ask nothing")
    .option("--force", "replace a file that is there")
    .action(cli.action(async (options: InitOptions) => init(cli, options)));
  addExamples(command, [
    ["holdover init", "asks"],
    ["holdover init --yes", "takes what it finds"],
    ['holdover init --yes --session-key "?room"', "what was found, and this key"],
  ]);
}

async function init(cli: Cli, options: InitOptions): Promise<number> {
  const shown = cli.configOption ?? "holdover.yaml";
  const file = resolve(cli.terminal.cwd, shown);
  // Before anything is asked; it is looked at again when it is written.
  if (!options.force && existsSync(file)) throw new HoldoverError("CONFIG_EXISTS", { file: shown });
  const build = resolve(dirname(file), options.dir);
  const start = await startCommandIn(build);
  const hints = hintsIn(await sourcesIn(build));
  const answers = await answersFrom(cli, options, questionsFor(dirname(file), start, hints));
  if (!answers) return 130;
  try {
    await writeFile(file, configTemplate(answers, hints), { flag: options.force ? "w" : "wx" });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw new HoldoverError("CONFIG_EXISTS", { file: shown }, { cause: error });
    }
    throw error;
  }
  if (cli.json) {
    cli.printJson({ file, ...answers, suggested: hints.keys.map(({ what, where }) => ({ place: what, where })) });
  } else {
    for (const line of await nextSteps(shown, dirname(file), answers, start, hints)) cli.print(line);
  }
  return 0;
}

/** One question, and how its answer is understood. */
interface Question<Answer> {
  readonly ask: string;
  /** Said before it, where there is something to say. */
  readonly before: string | null;
  readonly fallback: string;
  /** @returns the answer, or what is wrong with it in a sentence */
  read(text: string): { readonly answer: Answer } | { readonly problem: string };
}

interface Questions {
  readonly service: Question<string>;
  readonly command: Question<string>;
  readonly key: Question<readonly KeyPlace[]>;
}

function questionsFor(dir: string, start: StartCommand, { keys }: SourceHints): Questions {
  const seen = keys.map(({ what, where }) => `${keyPlaceText(what)} (${where})`);
  return {
    service: {
      ask: "Name of the service",
      before: null,
      fallback: slugOf(basename(dir)),
      read: (text) =>
        SERVICE_NAME.test(text)
          ? { answer: text }
          : {
              problem: `"${text}" cannot be the name of a service. Write 1 to 40 of a-z, 0-9 and dash, the first no dash.`,
            },
    },
    command: {
      ask: "Command that starts it",
      before: start.from === undefined ? null : `Its start is taken from ${start.from}.`,
      fallback: start.command,
      read: (text) => {
        const special = /&&|\|\||[;|<>"'`$&]/.exec(text)?.[0];
        if (special === undefined) return { answer: text };
        return {
          problem: `No shell reads the command, so ${special} means nothing in it. Put it into a script, or into npm start.`,
        };
      },
    },
    // A wrong directory is told at once, by every command; a session key that is missing only by users who do not meet.
    key: {
      ask: `Where a request names its session (${KEY_PLACES_FORM})`,
      before: seen.length === 0 ? null : `Seen in the sources, if it is what names a session: ${seen.join(", ")}`,
      fallback: "none",
      read: (text) => {
        const read = readKeyPlaces(text);
        return "problem" in read ? read : { answer: read.places };
      },
    },
  };
}

/** Flags first, then what is answered on a terminal, then the defaults. Undefined where the questions were broken off. */
async function answersFrom(cli: Cli, options: InitOptions, questions: Questions): Promise<TemplateAnswers | undefined> {
  const { stdin, stderr } = cli.terminal;
  const asks = stdin.isTTY === true && stderr.isTTY === true && !cli.json && options.yes !== true;
  const person = asks ? openQuestions(cli.terminal) : undefined;
  const answerTo = async <Answer>(question: Question<Answer>, given: string | undefined) => {
    if (given !== undefined || !person) {
      const read = question.read((given ?? question.fallback).trim());
      if ("answer" in read) return read;
      throw new HoldoverError("USAGE_INVALID", { problem: read.problem, remedy: "See `holdover init --help`." });
    }
    if (question.before !== null) cli.note(question.before);
    for (;;) {
      const text = await person.ask(`${question.ask} [${question.fallback}]: `);
      if (text === undefined) return undefined;
      const read = question.read(text.trim() || question.fallback);
      if ("answer" in read) return read;
      cli.note(read.problem);
    }
  };
  try {
    const service = await answerTo(questions.service, options.service);
    const command = service && (await answerTo(questions.command, options.command));
    const key = command && (await answerTo(questions.key, options.sessionKey));
    return key && { service: service.answer, command: command.answer, key: key.answer, dir: options.dir };
  } finally {
    person?.close();
  }
}

function slugOf(name: string): string {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  return slug || "app";
}

/** What stands between the file and the first deploy, and nothing that does not. */
async function nextSteps(
  shown: string,
  dir: string,
  { service, command, key }: TemplateAnswers,
  start: StartCommand,
  { keys, readsPort }: SourceHints,
): Promise<string[]> {
  const steps: string[] = [];
  if (!readsPort) steps.push("Let it listen on the port in PORT (and the host in HOST): no source speaks of it.");
  if (start.choosesPort && command === start.command) {
    steps.push("Take the port out of the start script: Holdover gives each instance its own, in PORT.");
  }
  if (key.length === 0) {
    const seen = keys.length === 0 ? "" : "; what the sources suggest stands beside it as a comment";
    steps.push(`Set session.key, if several clients share a session or one comes back to it${seen}.`);
  }
  if (await leaksState(dir)) steps.push("Add .holdover/ to .gitignore: it has keys and tokens.");
  steps.push("`holdover up` starts it, and makes v1 current.");
  steps.push(`\`holdover deploy ${service} --release v2\` ships what is in the directory then.`);
  return [`Wrote ${shown}. Next:`, ...steps.map((step, index) => `  ${index + 1}. ${step}`)];
}

async function leaksState(dir: string): Promise<boolean> {
  const isRepository = await stat(join(dir, ".git")).then(
    () => true,
    () => false,
  );
  const ignored = await readFile(join(dir, ".gitignore"), "utf8").catch(() => "");
  return isRepository && !/^\/?\.holdover\/?\s*$/m.test(ignored);
}

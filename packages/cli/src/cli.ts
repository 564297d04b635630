import { userInfo } from "node:os";
import type { Command } from "commander";
import { ApiClient } from "./api-client.ts";
import { locate, type Located } from "./config/locate.ts";
import { painter, type Paint } from "./output/paint.ts";
import { stateDirOf } from "./state-dir.ts";
import type { Terminal } from "./terminal.ts";

/** What every command has at hand: the options that all share, the terminal, and the way to the control process. */
export interface Cli {
  readonly terminal: Terminal;
  /** Whether standard output carries JSON and nothing else. */
  readonly json: boolean;
  /** The file given with --config. */
  readonly configOption: string | undefined;
  readonly paint: Paint;
  /** Columns to keep within; undefined where the output is no terminal and may be as wide as it is. */
  readonly width: number | undefined;
  /** Whether the locale lets braille and blocks be shown; else plain ASCII. */
  readonly unicode: boolean;
  /** Makes a command's work out of a function that returns the exit code. */
  action<Words extends unknown[]>(work: (...words: Words) => Promise<number>): (...words: Words) => Promise<void>;
  /** One line to standard output. */
  print(line: string): void;
  /** One line of JSON to standard output. */
  printJson(value: unknown): void;
  /** One line for a person beside the result, to standard error; nothing with --json. */
  note(line: string): void;
  /** @throws HoldoverError CONFIG_MISSING, CONFIG_INVALID */
  connect(): Promise<Connection>;
}

interface Connection {
  readonly api: ApiClient;
  readonly located: Located;
}

/** The options of the whole program, as commander gives them. */
interface GlobalOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly color?: boolean;
}

/**
 * @param program read when a command runs: its options are known by then
 * @param exit where the exit code of the command is left
 */
export function createCli(terminal: Terminal, program: Command, exit: { code: number }): Cli {
  const options = () => program.opts<GlobalOptions>();
  const json = () => options().json === true;
  return {
    terminal,
    get json() {
      return json();
    },
    get configOption() {
      return options().config;
    },
    get paint() {
      return painter(hasColour(terminal, options().color));
    },
    get width() {
      // A terminal that does not know its size says 0.
      return terminal.stdout.isTTY ? terminal.stdout.columns || 80 : undefined;
    },
    unicode: /utf-?8/i.test(localeOf(terminal.env)),
    action(work) {
      return async (...words) => {
        exit.code = await work(...words);
      };
    },
    print(line) {
      terminal.stdout.write(`${line}\n`);
    },
    printJson(value) {
      terminal.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note(line) {
      if (!json()) terminal.stderr.write(`${line}\n`);
    },
    async connect() {
      const located = await locate(options().config, terminal.cwd);
      return { located, api: new ApiClient(stateDirOf(located.stateDir).apiSocket, userName()) };
    },
  };
}

/** https://no-color.org: any text but the empty one turns colour off. */
function hasColour(terminal: Terminal, option: boolean | undefined): boolean {
  return (
    terminal.stdout.isTTY === true && option !== false && !terminal.env["NO_COLOR"] && terminal.env["TERM"] !== "dumb"
  );
}

/** The first of them that is set counts: https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html */
function localeOf(env: Terminal["env"]): string {
  return env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "C";
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a user id that has no name.
    return undefined;
  }
}

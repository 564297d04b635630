import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { basename, delimiter, resolve } from "node:path";
import { HoldoverError } from "@holdover/core";

const INTERPRETERS = new Set(["node", "bun", "deno", "python", "python3", "sh", "bash"]);
/** After one of these comes code or the name of a module, and no file. */
const NO_FILE_FOLLOWS = new Set(["-e", "--eval", "-p", "--print", "-c", "-m"]);
const LOOKS_LIKE_A_FILE = /[/\\]|\.(?:[cm]?[jt]s|[jt]sx|py|sh)$/;
/** `node dist/server` finds dist/server.js. */
const ENDINGS_LEFT_OUT = ["", ".js", ".cjs", ".mjs", ".json", ".node"];

/**
 * Whether a command can be run in a directory at all: a look before the deploy, so that a typo is told at once and not
 * by three instances that end. What it cannot judge it lets pass.
 *
 * @param service for the error's sentence
 * @throws HoldoverError DIRECTORY_MISSING, COMMAND_MISSING
 */
export async function checkCommand(command: readonly string[], dir: string, service = "(unnamed)"): Promise<void> {
  if (!(await isDirectory(dir))) throw new HoldoverError("DIRECTORY_MISSING", { dir });
  const [program = "", ...args] = command;
  const missing = (what: string) => new HoldoverError("COMMAND_MISSING", { command: what, dir, service });
  if (!(await isRunnable(program, dir))) throw missing(program);
  if (!INTERPRETERS.has(basename(program))) return;
  const firstWord = args.findIndex((arg) => !arg.startsWith("-"));
  const file = args[firstWord];
  if (file === undefined || !LOOKS_LIKE_A_FILE.test(file)) return;
  if (args.slice(0, firstWord).some((flag) => NO_FILE_FOLLOWS.has(flag))) return;
  const found = await Promise.all(ENDINGS_LEFT_OUT.map((ending) => exists(resolve(dir, file + ending))));
  if (!found.includes(true)) throw missing(file);
}

async function isRunnable(program: string, dir: string): Promise<boolean> {
  if (program === "") return false;
  if (program.includes("/")) return isExecutableFile(resolve(dir, program));
  const places = (process.env["PATH"] ?? "").split(delimiter);
  for (const place of places) if (await isExecutableFile(resolve(dir, place, program))) return true;
  return false;
}

async function isDirectory(dir: string): Promise<boolean> {
  try {
    return (await stat(dir)).isDirectory();
  } catch {
    return false;
  }
}

async function isExecutableFile(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

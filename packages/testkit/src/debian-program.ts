import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** apt-get fetches about 100 MB; what takes longer than this, ms, has no network. */
const INSTALL_MS = 300_000;

/** A program that some tests need and that Holdover does not bring along. */
export interface WantedProgram {
  /** For people. */
  readonly name: string;
  /** What it may be called on the PATH. */
  readonly names: readonly string[];
  /** The package of Debian that has it. */
  readonly debianPackage: string;
  /** The environment variable that may name it. */
  readonly variable: string;
}

/** The program on this machine, or why tests have to go without. */
export type FoundProgram = { readonly path: string } | { readonly path: null; readonly why: string };

/**
 * What the variable names, or what is on the PATH, or Debian's package, which is installed where this process may do so.
 * @param skipped what cannot be tested without; is named in a message of its own where there is none
 */
export async function findProgram(wanted: WantedProgram, skipped: string): Promise<FoundProgram> {
  const found = await lookFor(wanted);
  const { name, debianPackage, variable } = wanted;
  if (found.path === null)
    process.stderr.write(
      `\nSKIPPED, for there is no ${name}: ${skipped}\n  ${found.why}\n  Get it: apt-get install ${debianPackage}, or ${variable}=/path/to/it\n\n`,
    );
  return found;
}

async function lookFor({ names, debianPackage, variable }: WantedProgram): Promise<FoundProgram> {
  const given = process.env[variable];
  if (given) return mayRun(given) ? { path: given } : { path: null, why: `${variable}=${given} is no program` };
  const found = onPath(names);
  if (found) return { path: found };
  if (!onPath(["apt-get"])) return { path: null, why: "it is not on the PATH, and there is no apt-get" };
  if (process.getuid?.() !== 0) return { path: null, why: "it is not on the PATH, and only root may install it" };
  try {
    await aptGet("update");
    await aptGet("install", "--yes", "--no-install-recommends", debianPackage);
  } catch (thrown) {
    return { path: null, why: `it could not be installed: ${String(thrown)}` };
  }
  const installed = onPath(names);
  return installed
    ? { path: installed }
    : { path: null, why: `Debian's package ${debianPackage} brought no program along` };
}

function onPath(names: readonly string[]): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(mayRun);
}

function mayRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function aptGet(...args: string[]): Promise<void> {
  const child = spawn("apt-get", args, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALL_MS,
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-500)));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`apt-get ${args[0]} ended with ${code ?? "a time-out"}: ${said.trim()}`);
}

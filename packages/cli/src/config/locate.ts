import { access } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { isMap, isScalar, parseDocument } from "yaml";
import { readConfigText } from "./config-file.ts";
import { HoldoverError } from "@holdover/core";

const FILE_NAME = "holdover.yaml";
const DEFAULT_STATE = ".holdover";

/** What a command needs to reach a running Holdover. */
export interface Located {
  /** The configuration file as messages show it: relative to the working directory where it was searched for. */
  readonly file: string;
  /** Absolute. */
  readonly stateDir: string;
  /** Names of the services, as far as the file can be read. */
  readonly services: readonly string[];
}

/**
 * The configuration file: the one that was named, else holdover.yaml here or in the nearest directory above.
 * @throws HoldoverError CONFIG_MISSING
 */
export async function findConfig(named: string | undefined, cwd: string): Promise<string> {
  if (named !== undefined) return named;
  for (let dir = cwd; ; dir = dirname(dir)) {
    const file = join(dir, FILE_NAME);
    if (await exists(file)) return relative(cwd, file);
    if (dir === dirname(dir)) throw new HoldoverError("CONFIG_MISSING", { file: FILE_NAME });
  }
}

/**
 * Finds the state directory without judging the file: half-way through an edit that leaves the file in disorder,
 * `status` and `rollback` must still work.
 * @throws HoldoverError CONFIG_MISSING; CONFIG_INVALID where the file cannot be read at all
 */
export async function locate(named: string | undefined, cwd: string): Promise<Located> {
  const file = await findConfig(named, cwd);
  const absolute = resolve(cwd, file);
  const { state, services } = glance(await readConfigText(absolute, file));
  return { file, stateDir: resolve(dirname(absolute), state), services };
}

function glance(text: string): { state: string; services: string[] } {
  try {
    const tree = parseDocument(text, { uniqueKeys: false, logLevel: "silent" });
    const state = tree.get("state");
    const services = tree.get("services", true);
    return {
      state: typeof state === "string" && state !== "" ? state : DEFAULT_STATE,
      services: isMap(services)
        ? services.items.flatMap((pair) => (isScalar(pair.key) ? [String(pair.key.value)] : []))
        : [],
    };
  } catch {
    // Not even a tree: what is running can only be where it is by default.
    return { state: DEFAULT_STATE, services: [] };
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

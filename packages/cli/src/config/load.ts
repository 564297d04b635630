import { dirname, resolve } from "node:path";
import { holdoverConfig, type HoldoverConfig } from "@holdover/core";
import { readConfigText } from "./config-file.ts";
import { conflicts } from "./conflicts.ts";
import { parseConfigText } from "./document.ts";
import { explain } from "./explain.ts";
import { stateDirOf } from "../state-dir.ts";
import { configInvalid } from "./issue.ts";

/** A configuration that has nothing wrong with it. */
export interface LoadedConfig {
  readonly config: HoldoverConfig;
  /** Absolute path of the file. */
  readonly file: string;
  /** Absolute path of the directory it is in. Relative paths in the file are meant from there. */
  readonly dir: string;
  /** Absolute path of the state directory. */
  readonly stateDir: string;
  /** What the file says of each service, before defaults: this is what a deploy sends. */
  readonly sections: Readonly<Record<string, unknown>>;
}

/**
 * Reads holdover.yaml.
 * @param file as the user named it; messages show it so
 * @param cwd what a relative `file` is meant from
 * @throws HoldoverError CONFIG_MISSING; CONFIG_INVALID with the first issue in its details and all in its cause
 */
export async function loadConfig(file: string, cwd: string = process.cwd()): Promise<LoadedConfig> {
  const absolute = resolve(cwd, file);
  const text = await readConfigText(absolute, file);
  const parsed = parseConfigText(text);
  if (!parsed.ok) throw configInvalid(file, text, parsed.issues);
  const { document } = parsed;
  const checked = holdoverConfig.safeParse(document.value);
  if (!checked.success) throw configInvalid(file, text, explain(document, checked.error.issues));
  const dir = dirname(absolute);
  const stateDir = resolve(dir, checked.data.state);
  const found = conflicts(document, checked.data, stateDirOf(stateDir).apiSocket);
  if (found.length > 0) throw configInvalid(file, text, found);
  const { services } = document.value as { services: Record<string, unknown> };
  return { config: checked.data, file: absolute, dir, stateDir, sections: services };
}

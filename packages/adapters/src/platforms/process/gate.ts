import { stat } from "node:fs/promises";
import { formatDuration, problemOf } from "@holdover/core";
import { exitWords, spawnGroup } from "./child.ts";
import { childEnvironment } from "./environment.ts";
import { tailLogAfter } from "./log-tail.ts";
import { signalGroup } from "./process-table.ts";

/** How much of a gate's output comes with its refusal. */
const LINES_TOLD = 50;
const BYTES_TOLD = 65_536;

export interface GateSpec {
  readonly command: readonly string[];
  readonly cwd: string;
  /** On top of what an instance would inherit of the host. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** The output is appended here; the directory is made. */
  readonly logFile: string;
}

export type GateResult =
  | { readonly passed: true }
  /** `problem` is a clause ("exit code 1"); `log` holds the last lines that this run wrote. */
  | { readonly passed: false; readonly problem: string; readonly log: string[] };

/** Runs a gate to its end: passed is exit code 0 within the time, all else is a no. Never rejects; leaves no process. */
export async function runGate(spec: GateSpec): Promise<GateResult> {
  const from = await stat(spec.logFile).then(
    (found) => found.size,
    () => 0,
  );
  const problem = await runToEnd(spec);
  if (problem === undefined) return { passed: true };
  const log = await tailLogAfter(spec.logFile, from, LINES_TOLD, BYTES_TOLD).catch(() => []);
  return { passed: false, problem, log };
}

/** Undefined for exit code 0. */
function runToEnd(spec: GateSpec): Promise<string | undefined> {
  return new Promise((resolve) => {
    try {
      const child = spawnGroup({
        command: spec.command,
        cwd: spec.cwd,
        logFile: spec.logFile,
        environment: childEnvironment(process.env, spec.cwd, spec.env),
      });
      let late = false;
      const killGroup = (): void => {
        if (child.pid !== undefined) signalGroup(child.pid, null, "SIGKILL");
      };
      const timer = setTimeout(() => {
        late = true;
        killGroup();
      }, spec.timeoutMs);
      // Whoever asked for it may end before it does, and with it the time that the gate was given.
      process.once("exit", killGroup);
      const over = (): void => {
        clearTimeout(timer);
        process.off("exit", killGroup);
      };
      child.once("error", (error) => {
        over();
        resolve(`it could not be started: ${problemOf(error)}`);
      });
      child.once("exit", (code, signal) => {
        over();
        // What it left in the background would go on writing to the log of a gate that is over.
        killGroup();
        if (late) resolve(`it did not end within ${formatDuration(spec.timeoutMs)}`);
        else resolve(code === 0 ? undefined : exitWords(code, signal));
      });
    } catch (error) {
      resolve(`it could not be started: ${problemOf(error)}`);
    }
  });
}

import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

export interface ChildSpec {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/**
 * Starts a process as the leader of a group and session of its own. Its output goes straight into the file and not
 * through a pipe: with a pipe it would die of SIGPIPE, or hang, when the host is gone.
 *
 * A command that cannot be run is told by the child's `error` event; `pid` is undefined then.
 * @throws Error where the log cannot be opened, or where the system refuses before it tries
 */
export function spawnGroup(spec: ChildSpec): ChildProcess {
  const [program, ...args] = spec.command;
  if (program === undefined) throw new Error("the command is empty");
  mkdirSync(dirname(spec.logFile), { recursive: true, mode: 0o700 });
  // O_APPEND: several processes of the group share the file, and rotation truncates it under their hands.
  const log = openSync(spec.logFile, "a", 0o600);
  try {
    return spawn(program, args, {
      cwd: spec.cwd,
      env: spec.environment,
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** How a process ended, as a clause: "exit code 3", "signal SIGSEGV". */
export function exitWords(code: number | null, signal: string | null): string {
  if (code !== null) return `exit code ${code}`;
  if (signal !== null) return `signal ${signal}`;
  return "its exit code is not known, because it was started by an earlier host process";
}

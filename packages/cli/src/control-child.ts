import { fork, type ChildProcess } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorFromBody, formatDuration, HoldoverError, type AuditEntry, type Clock } from "@holdover/core";
import type { ControlMessage } from "./control-process.ts";
import type { StateDir } from "./state-dir.ts";

const PROGRAM = fileURLToPath(new URL("./control-process.ts", import.meta.url));
/** Control is started again this long after it ended, twice as long after each end before it was up, ms. */
const RESTART_FIRST_MS = 100;
const RESTART_MOST_MS = 5000;
/** How long control may take to come up for the first time, ms; it waits 5 s for the database of one that is just ending. */
const UP_MS = 30_000;
/** So many ends without a word before it was up once, and it is given up. */
const UP_ATTEMPTS = 4;
/** How long control may take to put its things away, ms. */
const STOP_MS = 5000;

export interface ControlChild {
  /**
   * Resolves with the API's URL when control listens for the first time; rejects with what it says when its start fails,
   * or with CONTROL_NOT_UP when it says nothing in time.
   */
  readonly listening: Promise<string>;
  stop(): Promise<void>;
}

/** Keeps a control process running beside this one: when it dies it is started again, and no session notices. */
export async function keepControl(
  state: StateDir,
  clock: Clock,
  onNotice: (entry: AuditEntry) => void,
  log: (event: string, detail: Record<string, unknown>) => void,
): Promise<ControlChild> {
  const file = join(state.logs, "control.log");
  const logFile = await open(file, "a", 0o600);
  const first = Promise.withResolvers<string>();
  let child: ChildProcess | null = null;
  let wasUp = false;
  let stopping = false;
  let failures = 0;
  let cancelRestart: () => void = () => {};

  const giveUp = (problem: string): void => first.reject(new HoldoverError("CONTROL_NOT_UP", { problem, file }));
  const cancelUp = clock.after(UP_MS, () => giveUp(`it says nothing for ${formatDuration(UP_MS)}`));

  const ended = (how: string): void => {
    child = null;
    if (stopping) return;
    log("control.exited", { how });
    failures += 1;
    if (failures >= UP_ATTEMPTS) giveUp(`it ended ${failures} times, the last time by ${how}`);
    cancelRestart = clock.after(Math.min(RESTART_MOST_MS, RESTART_FIRST_MS * 2 ** (failures - 1)), start);
  };

  const start = (): void => {
    // Once it was up, what was deployed since is newer than the configuration that this host has read.
    const words = wasUp ? [state.dir, "again"] : [state.dir];
    const started = fork(PROGRAM, words, { stdio: ["ignore", logFile.fd, logFile.fd, "ipc"], execArgv: [] });
    child = started;
    started.on("message", (message: ControlMessage) => {
      if (message.type === "failed") first.reject(errorFromBody(message.error));
      else if (message.type === "notice") onNotice(message.entry);
      else if (message.type === "print") {
        process.stdout.write(message.text, (error) => {
          if (!error && started.connected) started.send("printed", () => {});
        });
      } else {
        wasUp = true;
        failures = 0;
        cancelUp();
        log("control.up", { pid: started.pid });
        first.resolve(message.url);
      }
    });
    started.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
    started.on("error", (error) => {
      // One that could not even be started has no exit.
      if (started.pid === undefined) ended(error.message);
    });
  };

  // Whoever starts a host awaits it later, when more of it stands.
  first.promise.catch(() => {});
  start();
  return {
    listening: first.promise,
    stop: async () => {
      stopping = true;
      cancelUp();
      cancelRestart();
      const last = child;
      if (last) {
        const gone = new Promise<void>((resolve) => last.once("exit", () => resolve()));
        // It may have gone a moment ago; then its exit follows.
        last.send("stop", () => {});
        const cancelKill = clock.after(STOP_MS, () => last.kill("SIGKILL"));
        await gone;
        cancelKill();
      }
      await logFile.close();
    },
  };
}

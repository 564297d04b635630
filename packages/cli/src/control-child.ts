import { fork, type ChildProcess } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorFromBody, type AuditEntry, type Clock, type HoldoverError } from "@holdover/core";
import type { ControlMessage } from "./control-process.ts";
import type { StateDir } from "./state-dir.ts";

const PROGRAM = fileURLToPath(new URL("./control-process.ts", import.meta.url));
/** Control is started again this long after it ended, twice as long after each end before it was up, ms. */
const RESTART_FIRST_MS = 100;
const RESTART_MOST_MS = 5000;
/** How long control may take to put its things away, ms. */
const STOP_MS = 5000;

export interface ControlChild {
  /** Resolves with the API's URL when control listens for the first time; rejects when its first start fails. */
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
  const logFile = await open(join(state.logs, "control.log"), "a", 0o600);
  const first = Promise.withResolvers<string>();
  let child: ChildProcess | null = null;
  let stopping = false;
  let failures = 0;
  let failure: HoldoverError | null = null;
  let cancelRestart: () => void = () => {};

  const start = (): void => {
    const started = fork(PROGRAM, [state.dir], { stdio: ["ignore", logFile.fd, logFile.fd, "ipc"], execArgv: [] });
    child = started;
    started.on("message", (message: ControlMessage) => {
      if (message.type === "failed") failure = errorFromBody(message.error);
      else if (message.type === "notice") onNotice(message.entry);
      else {
        failures = 0;
        log("control.up", { pid: started.pid });
        first.resolve(message.url);
      }
    });
    started.once("exit", (code, signal) => {
      if (child === started) child = null;
      if (stopping) return;
      log("control.exited", { code, signal });
      if (failure) first.reject(failure);
      const waitMs = Math.min(RESTART_MOST_MS, RESTART_FIRST_MS * 2 ** failures);
      failures += 1;
      cancelRestart = clock.after(waitMs, start);
    });
  };

  start();
  return {
    listening: first.promise,
    stop: async () => {
      stopping = true;
      cancelRestart();
      const last = child;
      if (last) {
        const ended = new Promise<void>((resolve) => last.once("exit", () => resolve()));
        if (last.connected) last.send("stop");
        const cancelKill = clock.after(STOP_MS, () => last.kill("SIGKILL"));
        await ended;
        cancelKill();
      }
      await logFile.close();
    },
  };
}

import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorFromBody, HoldoverError, type ErrorBody } from "@holdover/core";
import type { Addresses } from "./host-process.ts";
import { makeStateDir, stateDirOf } from "./state-dir.ts";

const PROGRAM = fileURLToPath(new URL("../bin/holdover.js", import.meta.url));

/** What a host tells the process that started it, where there is a channel to it: first whether it serves. */
export type HostMessage =
  | { readonly type: "ready"; readonly addresses: Addresses }
  | { readonly type: "failed"; readonly error: ErrorBody }
  /** It takes no new session any more and waits for the live ones to end. */
  | { readonly type: "closing" };

/**
 * Starts a host that goes on after this process; its output goes to `logs/up.log` in the state directory.
 * Resolves when it serves.
 * @throws HoldoverError what the host meets on its start
 */
export async function startInBackground(configFile: string, stateDir: string): Promise<Addresses & { pid: number }> {
  const state = stateDirOf(stateDir);
  await makeStateDir(state);
  const output = await open(join(state.logs, "up.log"), "a", 0o600);
  try {
    const child = spawn(process.execPath, [PROGRAM, "--config", configFile, "up"], {
      detached: true,
      stdio: ["ignore", output.fd, output.fd, "ipc"],
    });
    const message = await new Promise<Exclude<HostMessage, { type: "closing" }>>((resolve, reject) => {
      child.on("message", (one: HostMessage) => {
        if (one.type !== "closing") resolve(one);
      });
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        const how = signal ?? `exit code ${code}`;
        reject(new HoldoverError("INTERNAL", { problem: `the host ended (${how}); see ${state.logs}/up.log` }));
      });
    });
    if (child.connected) child.disconnect();
    child.unref();
    if (message.type === "failed") throw errorFromBody(message.error);
    return { ...message.addresses, pid: child.pid ?? 0 };
  } finally {
    await output.close();
  }
}

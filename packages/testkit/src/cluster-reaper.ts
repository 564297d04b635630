import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { processesOf } from "./cluster-processes.ts";

/**
 * A process that waits until whoever started it closes its standard input or dies of whatever, and then ends every
 * process of the cluster and removes its directory: `node cluster-reaper.ts DIRECTORY`. Nothing else would clean up
 * after a test run that is killed, for a cluster's instances are made to outlive their parent.
 */
const directory = process.argv[2];
if (!directory) throw new Error("name the directory of the cluster");

// Ctrl-C goes to the whole terminal; the closed input tells when it is time.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.stdin.resume().on("close", () => void reap(directory));

/** The kernel needs a moment for each; a host that is just starting something may be one process ahead. */
const ROUNDS = 200;
const ROUND_MS = 10;

async function reap(directory: string): Promise<void> {
  let left: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    left = await processesOf(directory);
    if (left.length === 0) break;
    for (const pid of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It was faster.
      }
    }
    await delay(ROUND_MS);
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  if (left.length > 0) throw new Error(`these processes could not be ended: ${left.join(", ")}`);
}

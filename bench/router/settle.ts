import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Preloaded into the host (`--expose-gc --import`) where its memory is measured: on SIGUSR2 it collects all garbage,
 * gives free pages back, and writes what is left to BENCH_SETTLED_DIR.
 */

const directory = process.env["BENCH_SETTLED_DIR"];
/** What finalizers let go of in one round is collected in the next. */
const ROUNDS = 4;
const ROUND_MS = 100;

process.on("SIGUSR2", () => void settle());

async function settle(): Promise<void> {
  if (directory === undefined || !globalThis.gc) return;
  for (let round = 0; round < ROUNDS; round++) {
    // The collection that V8 makes before it gives up for lack of memory: it also shrinks the heap's pages.
    await globalThis.gc({ type: "major", flavor: "last-resort", execution: "async" });
    await delay(ROUND_MS);
  }
  const file = join(directory, `${process.pid}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
  renameSync(`${file}.new`, file);
}

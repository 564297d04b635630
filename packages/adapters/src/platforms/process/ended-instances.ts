import { rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { isAlive, type Instance } from "@holdover/core";
import { olderLog } from "./log-tail.ts";

/** How many ended instances of a release are remembered, with their logs; and how many in all. */
const KEPT = 10;
const KEPT_IN_ALL = 200;

/** Those to be forgotten, by when they ended. Without a bound, records and logs would grow with every deploy for ever. */
export function beyondKept(instances: readonly Instance[]): Instance[] {
  const kept = new Map<string, number>();
  return instances
    .filter((one) => !isAlive(one))
    .toSorted((a, b) => b.state.sinceMs - a.state.sinceMs)
    .filter((one, index) => {
      const release = `${one.service}/${one.release}`;
      const count = (kept.get(release) ?? 0) + 1;
      kept.set(release, count);
      return count > KEPT || index >= KEPT_IN_ALL;
    });
}

/** @throws Error of the file system */
export async function removeLogs(logFile: string): Promise<void> {
  await rm(logFile, { force: true });
  await rm(olderLog(logFile), { force: true });
  // Only an empty directory goes.
  await rmdir(dirname(logFile)).catch(() => undefined);
}

import { isAlive, type Instance } from "./instance.ts";
import type { Restart } from "./release.ts";

/** Why a rolling restart is over, where it was not called off. */
export const RESTARTED = "all instances are replaced";

/** A rolling restart as it begins. @param instances that are to be replaced, in this order */
export function beginRestart(
  instances: readonly string[],
  settings: Pick<Restart, "batch" | "waitMs" | "graceMs">,
  nowMs: number,
): Restart {
  const { batch, waitMs, graceMs } = settings;
  return {
    sinceMs: nowMs,
    batch,
    waitMs,
    graceMs,
    waiting: instances.slice(batch),
    leaving: instances.slice(0, batch),
    leavingSinceMs: null,
  };
}

/**
 * The next step of a rolling restart: the same value where there is none now, null when all are replaced. A batch takes
 * no new session once its replacements are ready, and the next one's turn comes when its last instance has ended.
 *
 * @param instances of the release
 * @param wanted how many the release is to have
 */
export function nextRestart(
  restart: Restart,
  instances: readonly Instance[],
  wanted: number,
  nowMs: number,
): Restart | null {
  const alive = new Set(instances.filter(isAlive).map((one) => one.id));
  if (!restart.leaving.some((id) => alive.has(id))) {
    const waiting = restart.waiting.filter((id) => alive.has(id));
    if (waiting.length === 0) return null;
    const leaving = waiting.slice(0, restart.batch);
    return { ...restart, waiting: waiting.slice(restart.batch), leaving, leavingSinceMs: null };
  }
  if (restart.leavingSinceMs !== null) return restart;
  const staying = instances.filter((one) => one.state.name === "ready" && !restart.leaving.includes(one.id));
  return staying.length >= wanted ? { ...restart, leavingSinceMs: nowMs } : restart;
}

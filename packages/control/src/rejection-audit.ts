import {
  asHoldoverError,
  INSTANCE_ID_CHARS,
  type AuditLog,
  type Clock,
  type Rejection,
  type RejectionReason,
} from "@holdover/core";

/** Entries within a period of one instance and reason, and of all: who is refused may come again as fast as it can. */
const SAME_MOST = 5;
const ALL_MOST = 100;
const PERIOD_MS = 60_000;
/** Instances and reasons that are told apart: an instance may call itself anything. */
const KINDS_MOST = 1000;
const PROBLEM_CHARS = 500;

export interface RejectionAuditLog {
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

interface Period {
  readonly sinceMs: number;
  told: number;
  /** Rejections since the last entry that have none. */
  untold: number;
}

/**
 * Writes refusals into the audit log as `worker.rejected`, so many at the most. Those above are counted, and the next
 * entry of the same instance and reason says how many they were (`untold`); of instances that were too many to be told
 * apart any next entry does (`othersUntold`).
 */
export function createRejectionAudit(
  audit: Pick<AuditLog, "append">,
  clock: Clock,
  log: RejectionAuditLog,
): (rejection: Rejection) => Promise<void> {
  const periods = new Map<string, Period>();
  let all: Period = newPeriod(0, 0);
  /** Rejections that have no entry, of instances that are not told apart any more. */
  let othersUntold = 0;

  function newPeriod(sinceMs: number, untold: number): Period {
    return { sinceMs, told: 0, untold };
  }

  const isOver = ({ sinceMs }: Period, nowMs: number): boolean => Math.abs(nowMs - sinceMs) >= PERIOD_MS;

  function periodOf(instance: string, reason: RejectionReason, nowMs: number): Period {
    let key = `${reason} ${instance}`;
    let period = periods.get(key);
    if (!period && periods.size >= KINDS_MOST) {
      for (const [old, one] of periods) {
        if (!isOver(one, nowMs)) continue;
        othersUntold += one.untold;
        periods.delete(old);
      }
      // Still full: from here on they are taken together, by their reason.
      if (periods.size >= KINDS_MOST) {
        key = reason;
        period = periods.get(key);
      }
    }
    if (period && !isOver(period, nowMs)) return period;
    const next = newPeriod(nowMs, period?.untold ?? 0);
    periods.set(key, next);
    return next;
  }

  return async ({ instance, reason, problem }) => {
    const atMs = clock.now();
    const named = instance.slice(0, INSTANCE_ID_CHARS);
    const period = periodOf(named, reason, atMs);
    if (isOver(all, atMs)) all = newPeriod(atMs, 0);
    if (period.told >= SAME_MOST || all.told >= ALL_MOST) {
      period.untold += 1;
      return;
    }
    const { untold } = period;
    period.told += 1;
    all.told += 1;
    period.untold = 0;
    const detail = { reason, untold, ...(othersUntold > 0 && { othersUntold }) };
    othersUntold = 0;
    const entry = { atMs, kind: "worker.rejected", actor: "control", instance: named, detail };
    try {
      await audit.append([{ ...entry, reason: problem.slice(0, PROBLEM_CHARS) }]);
    } catch (thrown) {
      period.untold += untold + 1;
      othersUntold += detail.othersUntold ?? 0;
      log.error({ err: asHoldoverError(thrown), instance: named, reason }, "a refused worker could not be audited");
    }
  };
}

import { HoldoverError } from "./errors.ts";
import { heldSessions } from "./held-sessions.ts";
import type { Observed } from "./plan.ts";
import {
  currentRelease,
  cutover,
  expiring,
  previousRelease,
  ramping,
  releaseOf,
  retained,
  retired,
  transition,
  withRelease,
  type ReleaseRecord,
  type ServiceRecord,
} from "./release.ts";
import { beginRestart } from "./restart.ts";

/**
 * The changes of a service that are asked for by word. Each function decides whether its change may be made now, and what
 * it comes to: it is called to make the change, and to show it before it is made.
 */
export interface Change {
  readonly next: ServiceRecord;
  /** States on the way there that are audited but never in force. */
  readonly through?: readonly ServiceRecord[];
  /** The release that is answered with. */
  readonly release: string;
  readonly reason: string;
}

/** What a change is decided by. */
export type Seen = Pick<Observed, "nowMs" | "instances" | "sessions">;

/** @throws HoldoverError RELEASE_UNKNOWN, RELEASE_TRANSITION, RELEASE_COLD, LINK_DOWN */
export function promoteChange(service: ServiceRecord, release: string, seen: Seen): Change {
  const next = cutoverTo(service, release, seen);
  return { next, release, reason: `${release} was promoted` };
}

/**
 * @param percent of the new sessions, above 0 and up to 100
 * @throws HoldoverError RELEASE_UNKNOWN, RELEASE_TRANSITION, NO_CURRENT_RELEASE, RELEASE_COLD, LINK_DOWN
 */
export function rampChange(service: ServiceRecord, release: string, percent: number, seen: Seen): Change {
  const next = withRelease(service, transition(releaseOf(service, release), ramping(seen.nowMs, percent)));
  mustHaveCurrent(service);
  mustBeWarm(service, release, seen);
  return { next, release, reason: `${release} takes ${percent}% of the new sessions` };
}

/**
 * @param to undefined: the release that was current before
 * @param sessions what becomes of those on the release that is left
 * @throws HoldoverError NO_PREVIOUS_RELEASE, RELEASE_UNKNOWN, RELEASE_TRANSITION, RELEASE_COLD, LINK_DOWN
 */
export function rollbackChange(
  service: ServiceRecord,
  to: string | undefined,
  sessions: "finish" | "cut",
  seen: Seen,
): Change {
  const release = to ?? previousRelease(service)?.id;
  if (release === undefined) throw new HoldoverError("NO_PREVIOUS_RELEASE", { service: service.name });
  const left = currentRelease(service)?.id;
  const next = cutoverTo(service, release, seen);
  if (sessions === "finish" || left === undefined) return { next, release, reason: `rollback to ${release}` };
  return {
    next: withRelease(next, transition(releaseOf(next, left), expiring(seen.nowMs, seen.nowMs))),
    through: [next],
    release,
    reason: `rollback to ${release}, cutting the sessions of ${left}`,
  };
}

/**
 * @param now its sessions are cut at once, and not asked to move first
 * @throws HoldoverError RELEASE_UNKNOWN, RELEASE_IS_CURRENT, RELEASE_TRANSITION
 */
export function retireChange(service: ServiceRecord, release: string, now: boolean, seen: Seen): Change {
  const steps = retirement(service, releaseOf(service, release), now, seen).map((step) => withRelease(service, step));
  return {
    next: steps.at(-1) ?? service,
    through: steps.slice(0, -1),
    release,
    reason: now ? "retired by word, cutting what is live" : "retired by word",
  };
}

/**
 * @param instances that are replaced, in this order
 * @throws HoldoverError NO_CURRENT_RELEASE
 */
export function restartChange(
  service: ServiceRecord,
  instances: readonly string[],
  settings: { readonly batch: number; readonly waitMs: number; readonly graceMs: number },
  nowMs: number,
): Change {
  const current = mustHaveCurrent(service);
  const restart = beginRestart(instances, settings, nowMs);
  const next = withRelease(service, { ...current, restart });
  return { next, release: current.id, reason: `restart of ${instances.length} instances` };
}

/** @throws HoldoverError NO_CURRENT_RELEASE */
export function mustHaveCurrent(service: ServiceRecord): ReleaseRecord {
  const current = currentRelease(service);
  if (current) return current;
  throw new HoldoverError("NO_CURRENT_RELEASE", { service: service.name });
}

/** @throws HoldoverError RELEASE_COLD, LINK_DOWN */
export function mustBeWarm(service: ServiceRecord, release: string, { instances }: Pick<Seen, "instances">): void {
  if (instances === null) throw new HoldoverError("LINK_DOWN");
  const warm = instances.some(
    (one) => one.service === service.name && one.release === release && one.state.name === "ready",
  );
  if (!warm) throw new HoldoverError("RELEASE_COLD", { service: service.name, release });
}

function cutoverTo(service: ServiceRecord, release: string, seen: Seen): ServiceRecord {
  const live = heldSessions(service.name, currentRelease(service)?.id, seen);
  const next = cutover(service, release, seen.nowMs, live);
  mustBeWarm(service, release, seen);
  return next;
}

/** The states that a release goes through when it is retired by word. */
function retirement(service: ServiceRecord, release: ReleaseRecord, now: boolean, seen: Seen): ReleaseRecord[] {
  const { nowMs } = seen;
  const graceMs = now ? 0 : service.definition.retention.grace;
  switch (release.state.name) {
    case "current":
      throw new HoldoverError("RELEASE_IS_CURRENT", { service: service.name, release: release.id });
    case "starting":
    case "ready":
    case "retired":
    case "failed":
      return [transition(release, retired(nowMs))];
    case "ramping": {
      const kept = transition(release, retained(nowMs, heldSessions(service.name, release.id, seen)));
      return [kept, transition(kept, expiring(nowMs, nowMs + graceMs))];
    }
    case "retained":
      return [transition(release, expiring(nowMs, nowMs + graceMs))];
    case "expiring": {
      // Only ever shorter: a grace that was promised shorter is not made longer by asking again.
      const graceUntilMs = Math.min(release.state.graceUntilMs, nowMs + graceMs);
      return [{ ...release, state: expiring(release.state.sinceMs, graceUntilMs) }];
    }
  }
}

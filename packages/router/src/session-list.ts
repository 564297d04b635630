import type { LiveSession, Session, SessionCount, SessionQuery, SessionRegistry } from "@holdover/core";
import type { Parts } from "./parts.ts";

/**
 * Live sessions, oldest first.
 * @param wedgedSince since when a session is wedged; null: it is not
 */
export function listSessions(
  registry: SessionRegistry,
  { service, release, key, limit }: SessionQuery,
  wedgedSince: (session: Session) => number | null,
): LiveSession[] {
  const found: Session[] = [];
  for (const name of service === undefined ? registry.services() : [service]) {
    const one = key === undefined ? undefined : registry.find(name, key);
    for (const session of key === undefined ? registry.of(name) : one ? [one] : []) {
      if (release === undefined || session.lastPlace.release === release) found.push(session);
    }
  }
  return found
    .sort((a, b) => a.openedAtMs - b.openedAtMs)
    .slice(0, limit)
    .map((session) => liveSession(session, wedgedSince(session)));
}

function liveSession(session: Session, wedgedSinceMs: number | null): LiveSession {
  const { service, key, openedAtMs, connections, place: at, lastPlace, state, label } = session;
  return {
    service,
    key,
    release: lastPlace.release,
    instance: at?.instance ?? null,
    fence: lastPlace.fence,
    state: state.name === "open" ? "open" : "lingering",
    openedAtMs,
    lingeringSinceMs: state.name === "lingering" ? state.sinceMs : null,
    connections,
    label,
    wedgedSinceMs,
  };
}

/**
 * Sessions by instance, for those that hold any or still have a connection of one that has ended.
 * @param wedged by instance
 */
export function countSessions(
  registry: SessionRegistry,
  parts: Parts,
  wedged: ReadonlyMap<string, number>,
): Map<string, SessionCount> {
  const counts = new Map<string, SessionCount>();
  for (const instance of registry.instances()) {
    counts.set(instance, { ...registry.countsOf(instance), wedged: wedged.get(instance) ?? 0 });
  }
  for (const instance of parts.instances()) {
    const known = counts.get(instance) ?? { open: 0, lingering: 0, wedged: 0 };
    counts.set(instance, { ...known, connections: parts.countOn(instance) });
  }
  return counts;
}

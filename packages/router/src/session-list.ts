import type {
  Clock,
  LiveSession,
  Session,
  SessionCount,
  SessionList,
  SessionQuery,
  SessionRegistry,
} from "@holdover/core";
import type { Parts } from "./parts.ts";

/** So many sessions are looked at in one go, and others get their turn in between. */
const SLICE = 10_000;

/**
 * Live sessions that answer a query. What changes meanwhile counts as it is when its turn comes; what is listed is as it is
 * at the end.
 * @param wedgedSince since when a session is wedged; null: it is not
 */
export async function listSessions(
  registry: SessionRegistry,
  query: SessionQuery,
  clock: Clock,
  wedgedSince: (session: Session) => number | null,
): Promise<SessionList> {
  const { service, key, limit, order = "oldest" } = query;
  const isSought = seekerOf(query);
  const first = new First(limit, order);
  let matches = 0;
  let seen = 0;
  for (const name of service === undefined ? registry.services() : [service]) {
    const one = key === undefined ? undefined : registry.find(name, key);
    for (const session of key === undefined ? registry.of(name) : one ? [one] : []) {
      seen += 1;
      if (seen % SLICE === 0) await new Promise<void>((resolve) => void clock.after(0, resolve));
      if (!isSought(session)) continue;
      matches += 1;
      first.add(session);
    }
  }
  const sessions = first.all().filter(isSought);
  return { sessions: sessions.map((session) => liveSession(session, wedgedSince(session))), matches };
}

/** All of them in one go, oldest first. */
export function allSessions(
  registry: SessionRegistry,
  wedgedSince: (session: Session) => number | null,
): LiveSession[] {
  return Array.from(registry.services(), (service) => Array.from(registry.of(service)))
    .flat()
    .sort((a, b) => a.openedAtMs - b.openedAtMs)
    .map((session) => liveSession(session, wedgedSince(session)));
}

function seekerOf({ release, search, state }: SessionQuery): (session: Session) => boolean {
  const part = search?.toLowerCase();
  return (session) =>
    session.state.name !== "ended" &&
    (release === undefined || session.lastPlace.release === release) &&
    (state === undefined || stateOf(session) === state) &&
    (part === undefined || session.key.toLowerCase().includes(part));
}

/** The first so many of the sessions that it is given, without ever holding more than twice as many. */
class First {
  readonly #limit: number;
  readonly #before: (a: Session, b: Session) => number;
  #kept: Session[] = [];
  /** The last of the first, as far as is known: what does not come before it is none of them. */
  #bar: Session | undefined;

  constructor(limit: number, order: "oldest" | "newest") {
    this.#limit = limit;
    this.#before = order === "oldest" ? (a, b) => a.openedAtMs - b.openedAtMs : (a, b) => b.openedAtMs - a.openedAtMs;
  }

  add(session: Session): void {
    if (this.#bar && this.#before(session, this.#bar) >= 0) return;
    this.#kept.push(session);
    if (this.#kept.length < 2 * this.#limit) return;
    this.#kept = this.all();
    this.#bar = this.#kept.at(-1);
  }

  all(): Session[] {
    return this.#kept.toSorted(this.#before).slice(0, this.#limit);
  }
}

function liveSession(session: Session, wedgedSinceMs: number | null): LiveSession {
  const { service, key, openedAtMs, connections, place: at, lastPlace, state, label } = session;
  return {
    service,
    key,
    release: lastPlace.release,
    instance: at?.instance ?? null,
    fence: lastPlace.fence,
    state: stateOf(session),
    openedAtMs,
    lingeringSinceMs: state.name === "lingering" ? state.sinceMs : null,
    connections,
    label,
    wedgedSinceMs,
  };
}

/** Of one that is live. */
function stateOf({ state }: Session): LiveSession["state"] {
  return state.name === "open" ? "open" : "lingering";
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

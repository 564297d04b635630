import { lingerFor, Lingering } from "./lingering.ts";
import {
  ended,
  lingering,
  open,
  type EndedSession,
  type EndReason,
  type Pin,
  type SessionCount,
  type SessionState,
} from "./session.ts";

/** A session that a router holds. Only this file changes one. */
export interface Session {
  readonly service: string;
  readonly key: string;
  readonly openedAtMs: number;
  readonly label: string | null;
  /** Where it lives; null when its instance died and nobody came back yet. */
  readonly place: { readonly release: string; readonly instance: string; readonly fence: number } | null;
  /** The place before, for a session without one. */
  readonly lastPlace: { readonly release: string; readonly instance: string; readonly fence: number };
  readonly connections: number;
  readonly state: SessionState;
  /** How long it may linger, ms; while it is open, the longest that one of its connections was promised. */
  readonly lingerMs: number;
  /** Until when its place was promised to somebody who has left, epoch ms; 0: not longer than to its last connection. */
  readonly promisedUntilMs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Place = NonNullable<Session["place"]>;

/**
 * Every session that a router holds, with its place, in memory: the answer to "where does this key live?".
 * It does no I/O and knows no clock; the store behind it is written first, by its caller.
 */
export class SessionRegistry {
  readonly #byService = new Map<string, Map<string, Mutable<Session>>>();
  readonly #byInstance = new Map<string, Set<Mutable<Session>>>();
  readonly #openByInstance = new Map<string, number>();
  readonly #connectionsByInstance = new Map<string, number>();
  readonly #lingering = new Map<string, Lingering<Mutable<Session>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(service: string, key: string): Session | undefined {
    return this.#byService.get(service)?.get(key);
  }

  /** Takes in a pin, new or read back from the store. It starts without a connection, lingering from `nowMs`. */
  add(pin: Pin, nowMs: number, lingerMs: number): Session {
    const place = { release: pin.release, instance: pin.instance, fence: pin.fence };
    const session: Mutable<Session> = {
      service: pin.service,
      key: pin.key,
      openedAtMs: pin.openedAtMs,
      label: pin.label,
      place,
      lastPlace: place,
      connections: 0,
      state: lingering(nowMs),
      lingerMs,
      promisedUntilMs: 0,
    };
    const sessions = entryOf(this.#byService, pin.service, () => new Map<string, Mutable<Session>>());
    if (sessions.has(pin.key)) throw new Error(`session ${pin.key} of ${pin.service} is already held`);
    sessions.set(pin.key, session);
    entryOf(this.#byInstance, pin.instance, newSet).add(session);
    this.#linger(session);
    this.#size += 1;
    return session;
  }

  /**
   * Gives a session that lost its place a new one.
   * @throws Error when the fence does not grow (rule 4)
   */
  placeAnew(session: Session, pin: Pin): void {
    const own = this.#own(session);
    if (own.place) throw new Error(`session ${own.key} of ${own.service} has a place`);
    if (pin.fence <= own.lastPlace.fence) throw new Error(`fence ${pin.fence} is not above ${own.lastPlace.fence}`);
    own.place = { release: pin.release, instance: pin.instance, fence: pin.fence };
    own.lastPlace = own.place;
    entryOf(this.#byInstance, pin.instance, newSet).add(own);
  }

  /** Takes the place from a session that nobody has attached to there: it goes on lingering until it has another. */
  unplace(session: Session): void {
    const own = this.#own(session);
    if (!own.place || own.connections > 0) throw new Error(`session ${own.key} of ${own.service} is in use`);
    this.#leave(own, own.place);
    own.place = null;
  }

  /** A lingering session may linger for so long, from when it began: said later, since it was not known before. */
  promise(session: Session, lingerMs: number): void {
    const own = this.#own(session);
    if (own.state.name !== "lingering") throw new Error(`session ${own.key} of ${own.service} does not linger`);
    this.#lingering.get(own.service)?.delete(own);
    own.lingerMs = lingerMs;
    this.#linger(own);
  }

  /**
   * One connection (or request) more. Returns the fence under which it holds the session: `detach` wants it back.
   * @param lingerMs the linger in force, which is promised to it
   */
  attach(session: Session, lingerMs: number, nowMs: number): number {
    const own = this.#own(session);
    if (!own.place) throw new Error(`session ${own.key} of ${own.service} has no place to attach to`);
    own.connections += 1;
    bump(this.#connectionsByInstance, own.place.instance, 1);
    if (own.state.name === "lingering") {
      this.#lingering.get(own.service)?.delete(own);
      // As it was promised, not as it was rounded: who comes and goes all the time would put it off for ever.
      const untilMs = own.promisedUntilMs || own.state.sinceMs + own.lingerMs;
      own.promisedUntilMs = untilMs > nowMs + lingerMs ? untilMs : 0;
      own.lingerMs = lingerMs;
      own.state = open();
      bump(this.#openByInstance, own.place.instance, 1);
    } else if (lingerMs > own.lingerMs) own.lingerMs = lingerMs;
    return own.place.fence;
  }

  /**
   * One connection less. A connection of a place that the session has left since (its fence is older) changes nothing:
   * those were taken off when the session left.
   * @param lingerMs what it was promised when it was attached
   */
  detach(session: Session, fence: number, lingerMs: number, nowMs: number): void {
    const own = session as Mutable<Session>;
    if (own.state.name !== "open" || own.place?.fence !== fence) return;
    own.connections -= 1;
    bump(this.#connectionsByInstance, own.place.instance, -1);
    if (own.connections > 0) {
      own.promisedUntilMs = Math.max(own.promisedUntilMs, nowMs + lingerMs);
      return;
    }
    bump(this.#openByInstance, own.place.instance, -1);
    this.#beginToLinger(own, lingerMs, nowMs);
  }

  /** The sessions of a service that have lingered for as long as they may. They may be ended while they are listed. */
  lingeredOut(service: string, nowMs: number): Iterable<Session> {
    return this.#lingering.get(service)?.over(nowMs) ?? [];
  }

  /** Ends a session for good. Its connections are the caller's to close. */
  end(session: Session, reason: EndReason, nowMs: number): EndedSession {
    const own = this.#own(session);
    const record: EndedSession = {
      service: own.service,
      key: own.key,
      ...own.lastPlace,
      openedAtMs: own.openedAtMs,
      label: own.label,
      reason,
      endedAtMs: own.state.name === "lingering" ? own.state.sinceMs : nowMs,
      connectionsClosed: own.connections,
    };
    if (own.place) this.#leave(own, own.place);
    this.#lingering.get(own.service)?.delete(own);
    this.#byService.get(own.service)?.delete(own.key);
    own.place = null;
    own.state = ended(reason);
    this.#size -= 1;
    return record;
  }

  /**
   * An instance died: each of its sessions loses its place and its connections. Those that were open linger from now on;
   * those that lingered already go on doing so, so a session without anybody never lasts longer for it.
   * Returns them with the number of connections that each had.
   */
  loseInstance(instance: string, nowMs: number): { session: Session; pin: Pin; connections: number }[] {
    const lost = [...(this.#byInstance.get(instance) ?? [])].map((own) => {
      const place = own.lastPlace;
      const connections = own.connections;
      this.#leave(own, place);
      own.place = null;
      own.connections = 0;
      if (own.state.name === "open") this.#beginToLinger(own, own.lingerMs, nowMs);
      return {
        session: own,
        pin: { service: own.service, key: own.key, openedAtMs: own.openedAtMs, label: own.label, ...place },
        connections,
      };
    });
    return lost;
  }

  /** How many sessions, open or lingering, live on an instance. */
  countOn(instance: string): number {
    return this.#byInstance.get(instance)?.size ?? 0;
  }

  on(instance: string): Iterable<Session> {
    return this.#byInstance.get(instance) ?? [];
  }

  of(service: string): Iterable<Session> {
    return this.#byService.get(service)?.values() ?? [];
  }

  countsOf(instance: string): Omit<SessionCount, "wedged"> {
    const all = this.countOn(instance);
    const open = this.#openByInstance.get(instance) ?? 0;
    return { open, lingering: all - open, connections: this.#connectionsByInstance.get(instance) ?? 0 };
  }

  /** Services that ever had a session here. */
  services(): Iterable<string> {
    return this.#byService.keys();
  }

  /** Instances that hold a session. */
  instances(): Iterable<string> {
    return this.#byInstance.keys();
  }

  #beginToLinger(own: Mutable<Session>, lingerMs: number, nowMs: number): void {
    own.lingerMs = lingerFor(lingerMs, own.promisedUntilMs, nowMs);
    if (nowMs + lingerMs >= own.promisedUntilMs) own.promisedUntilMs = 0;
    own.state = lingering(nowMs);
    this.#linger(own);
  }

  #linger(own: Mutable<Session>): void {
    entryOf(this.#lingering, own.service, () => new Lingering<Mutable<Session>>()).add(own);
  }

  #leave(own: Mutable<Session>, place: Place): void {
    const there = this.#byInstance.get(place.instance);
    there?.delete(own);
    if (own.state.name === "open") bump(this.#openByInstance, place.instance, -1);
    bump(this.#connectionsByInstance, place.instance, -own.connections);
    if (there?.size === 0) {
      this.#byInstance.delete(place.instance);
      this.#openByInstance.delete(place.instance);
      this.#connectionsByInstance.delete(place.instance);
    }
  }

  #own(session: Session): Mutable<Session> {
    if (session.state.name === "ended") throw new Error(`session ${session.key} of ${session.service} has ended`);
    return session;
  }
}

const newSet = (): Set<Mutable<Session>> => new Set();

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function bump(map: Map<string, number>, key: string, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by);
}

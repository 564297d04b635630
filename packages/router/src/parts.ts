import type { Session } from "@holdover/core";
import type { EndHow, HeldConnection } from "./hold.ts";

/** A connection's part in a session, from joining to leaving. */
export interface Part {
  readonly session: Session;
  readonly instance: string;
  readonly connection: HeldConnection;
  promise: Promised;
  /** Since when it is one that lasts, epoch ms; null: an ordinary request, or it is not known yet. */
  lastsSinceMs: number | null;
  /** It finishes by itself, and has been asked to. */
  asked: boolean;
  /** `told`: to end, and on its way out. */
  state: "held" | "told" | "left";
}

/** What a connection was promised when it joined. */
export interface Promised {
  readonly fence: number;
  /** How long its session waits for it to come back, ms. */
  readonly lingerMs: number;
  /** The session is this connection, and ends with it. */
  readonly endsWith: boolean;
}

/** What of a service is there: connections that have joined, and how many of them were told to end. */
interface Tally {
  held: number;
  told: number;
}

/**
 * Every connection's part, by session and by instance. A session that has ended has its parts until they have left, so
 * an instance is known to be free only when the last byte of the last connection has gone.
 */
export class Parts {
  readonly #of = new Map<Session, Set<Part>>();
  readonly #on = new Map<string, Set<Part>>();
  readonly #tallies = new Map<string, Tally>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  join(session: Session, instance: string, connection: HeldConnection, promise: Promised): Part {
    const part: Part = { session, instance, connection, promise, lastsSinceMs: null, asked: false, state: "held" };
    addTo(this.#of, session, part);
    addTo(this.#on, instance, part);
    this.#tally(session.service).held += 1;
    this.#total += 1;
    return part;
  }

  /** False: it had left before. */
  leave(part: Part): boolean {
    if (part.state === "left") return false;
    removeFrom(this.#of, part.session, part);
    removeFrom(this.#on, part.instance, part);
    const tally = this.#tally(part.session.service);
    tally.held -= 1;
    if (part.state === "told") tally.told -= 1;
    this.#total -= 1;
    part.state = "left";
    return true;
  }

  /** Tells a connection to end, once. False: it had been told, or had left, before. */
  tell(part: Part, how: EndHow): boolean {
    if (part.state !== "held") return false;
    part.state = "told";
    this.#tally(part.session.service).told += 1;
    part.connection.end(how);
    return true;
  }

  /** Whether a session has parts that finish by themselves: it is a job. */
  isJob(session: Session): boolean {
    for (const part of this.of(session)) if (part.connection.finishes && part.state === "held") return true;
    return false;
  }

  /** Asks the parts of a job to finish, each once. False: it is no job. */
  finishing(session: Session): boolean {
    let found = false;
    for (const part of this.of(session)) {
      if (!part.connection.finishes || part.state !== "held") continue;
      found = true;
      if (part.asked) continue;
      part.asked = true;
      part.connection.end("moved");
    }
    return found;
  }

  of(session: Session): Iterable<Part> {
    return this.#of.get(session) ?? [];
  }

  *all(): Generator<Part> {
    for (const parts of this.#of.values()) yield* parts;
  }

  /** A copy, as it is now. */
  on(instance: string): Part[] {
    return [...(this.#on.get(instance) ?? [])];
  }

  countOn(instance: string): number {
    return this.#on.get(instance)?.size ?? 0;
  }

  /** Instances with a connection. */
  instances(): Iterable<string> {
    return this.#on.keys();
  }

  /** Connections of a service, without those that were told to end: they are no longer live. */
  liveOf(service: string): number {
    const { held, told } = this.#tally(service);
    return held - told;
  }

  #tally(service: string): Tally {
    let tally = this.#tallies.get(service);
    if (!tally) this.#tallies.set(service, (tally = { held: 0, told: 0 }));
    return tally;
  }
}

function addTo<K>(sets: Map<K, Set<Part>>, key: K, part: Part): void {
  const set = sets.get(key);
  if (set) set.add(part);
  else sets.set(key, new Set([part]));
}

function removeFrom<K>(sets: Map<K, Set<Part>>, key: K, part: Part): void {
  const set = sets.get(key);
  set?.delete(part);
  if (set?.size === 0) sets.delete(key);
}

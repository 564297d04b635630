import { randomBytes } from "node:crypto";
import {
  asHoldoverError,
  HoldoverError,
  place,
  SessionRegistry,
  type Clock,
  type EndReason,
  type LiveSession,
  type Pin,
  type PinStore,
  type Released,
  type RoutedInstance,
  type RoutedService,
  type RoutingTable,
  type Session,
  type SessionCount,
  type SessionQuery,
  type TableCache,
} from "@holdover/core";
import { Closings } from "./closings.ts";
import { Ends, idOf } from "./ends.ts";
import type { HeldConnection, Hold, SessionHolder } from "./hold.ts";
import { Parts } from "./parts.ts";

/** How often lingering sessions are looked through and closings go on, ms. A linger ends at most this much late. */
const TICK_MS = 100;
/** Placing is tried again when the place was lost while the store wrote it. */
const PLACE_ATTEMPTS = 3;
/**
 * Sessions ended in one tick at the most: after a restart every pin lingers from the same moment, and ending a million
 * of them at once would hold up everybody else.
 */
const ENDS_A_TICK = 2000;

export interface SessionsOptions {
  readonly pins: PinStore;
  readonly tableCache: TableCache;
  readonly clock: Clock;
  /** Sessions held at the most; one more is refused. */
  readonly limit: number;
  /** Counts, table or events changed. */
  readonly changed: () => void;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/**
 * Where every session lives: the one place that pins, and the one that ends.
 *
 * All decisions are taken between two events of this process: a table that comes into force, a session that is placed
 * and an instance that is given up can never cross (rule 2). What is decided is stored before anybody is answered.
 */
export class Sessions implements SessionHolder {
  readonly #options: SessionsOptions;
  readonly #registry = new SessionRegistry();
  readonly #closings = new Closings();
  readonly #parts = new Parts();
  readonly #ends: Ends;
  readonly #placing = new Map<string, Promise<void>>();
  /** Sessions by instance whose place the store is writing: they count as if they were there already. */
  readonly #beingWritten = new Map<string, number>();
  /** Connections that wait for a place. */
  #waiting = 0;
  /** Instances that died, although the table in force may still list them. */
  readonly #gone = new Set<string>();
  /** Instances given up since the table in force was made. A later table that lists one again takes it back. */
  readonly #givenUp = new Set<string>();
  #table: RoutingTable = { number: 0, services: [] };
  /** The table without what is gone. */
  #services = new Map<string, RoutedService>();
  #instances = new Map<string, RoutedInstance>();
  #closing: "no" | "finish" | "cut" = "no";
  #stopTicking: () => void = () => {};

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#ends = new Ends(options.pins, options.clock);
  }

  /** Reads back the table and the pins, and begins to keep time. */
  async open(): Promise<void> {
    const { pins, tableCache, clock } = this.#options;
    const now = clock.now();
    for (const pin of await pins.pins()) this.#registry.add(pin, now);
    const table = tableCache.load();
    if (table) this.#follow(table);
    this.#tick();
  }

  close(): void {
    this.#stopTicking();
  }

  table(): RoutingTable {
    return this.#table;
  }

  /** Puts a table in force, if its number is above the one in force. */
  apply(table: RoutingTable): void {
    if (table.number <= this.#table.number) return;
    this.#options.tableCache.save(table);
    this.#follow(table);
    this.#options.changed();
  }

  async hold(service: RoutedService, key: string, connection: HeldConnection): Promise<Hold> {
    return this.#hold(service.name, key, connection, false);
  }

  async holdConnection(service: RoutedService, connection: HeldConnection): Promise<Hold> {
    return this.#hold(service.name, `~${randomBytes(15).toString("base64url")}`, connection, true);
  }

  unreachable(instance: string): void {
    this.#options.log("instance.unreachable", { instance });
  }

  /**
   * An instance died. Its sessions lose their place at once and their connections end; each is placed anew when
   * somebody comes back within its linger.
   */
  async lose(instance: string): Promise<void> {
    this.#gone.add(instance);
    this.#index();
    await this.#disrupt(instance);
  }

  /** Gives an instance up, if nothing is on it: from then on nothing is placed there. */
  release(instance: string): Released {
    const sessions = this.#countOn(instance);
    if (sessions > 0 || this.#parts.countOn(instance) > 0) return { released: false, sessions };
    this.#givenUp.add(instance);
    this.#index();
    return { released: true };
  }

  /** Admits no session any more; `cut` also ends what is live, paced. Resolves by `openCount()` reaching zero. */
  startClosing(how: "finish" | "cut"): void {
    this.#closing = how;
    this.#options.changed();
  }

  isClosing(): boolean {
    return this.#closing !== "no";
  }

  /** Connections that have joined or wait for their place, those of ended sessions until they are closed. */
  openCount(): number {
    return this.#parts.total + this.#waiting;
  }

  /** Ends what is left, when everything goes down: with its instance a session's state goes too. */
  async endLingering(): Promise<number> {
    let count = 0;
    for (const service of this.#registry.services()) {
      for (const session of this.#registry.of(service)) {
        this.#end(session, "cut");
        count += 1;
      }
    }
    await this.#ends.save();
    return count;
  }

  counts(): Map<string, SessionCount> {
    const counts = new Map<string, SessionCount>();
    for (const instance of this.#registry.instances()) counts.set(instance, this.#registry.countsOf(instance));
    for (const instance of this.#parts.instances()) {
      const known = counts.get(instance) ?? { open: 0, lingering: 0 };
      counts.set(instance, { ...known, connections: this.#parts.countOn(instance) });
    }
    return counts;
  }

  list({ service, release, key, limit }: SessionQuery): LiveSession[] {
    const found: Session[] = [];
    for (const name of service === undefined ? this.#registry.services() : [service]) {
      const one = key === undefined ? undefined : this.#registry.find(name, key);
      for (const session of key === undefined ? this.#registry.of(name) : one ? [one] : []) {
        if (release === undefined || session.lastPlace.release === release) found.push(session);
      }
    }
    return found
      .sort((a, b) => a.openedAtMs - b.openedAtMs)
      .slice(0, limit)
      .map(liveSession);
  }

  #follow(table: RoutingTable): void {
    this.#table = table;
    this.#givenUp.clear();
    const listed = new Set(table.services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => one.id))));
    for (const instance of this.#gone) if (!listed.has(instance)) this.#gone.delete(instance);
    this.#index();
    // Control lists every instance that is alive: one that is missing has died, and its sessions have to know.
    for (const instance of new Set([...this.#registry.instances(), ...this.#parts.instances()])) {
      if (!listed.has(instance)) void this.#disrupt(instance);
    }
  }

  #index(): void {
    const alive = (instance: RoutedInstance) => !this.#gone.has(instance.id) && !this.#givenUp.has(instance.id);
    const services = this.#table.services.map((service) => ({
      ...service,
      releases: service.releases.map((release) => ({ ...release, instances: release.instances.filter(alive) })),
    }));
    this.#services = new Map(services.map((service) => [service.name, service]));
    this.#instances = new Map(
      services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => [one.id, one] as const))),
    );
  }

  /** Finds the session's place or places it; a session that ends in between, before anybody used it, is placed again. */
  async #hold(service: string, key: string, connection: HeldConnection, endsWith: boolean): Promise<Hold> {
    const session = this.#registry.find(service, key);
    if (session?.place) return this.#join(session, session.place, connection, endsWith);
    this.#waiting += 1;
    try {
      for (let attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
        await this.#placeOnce(service, key);
        const placed = this.#registry.find(service, key);
        if (placed?.place) return this.#join(placed, placed.place, connection, endsWith);
      }
      throw new HoldoverError("NO_INSTANCE", { service });
    } finally {
      this.#waiting -= 1;
      this.#options.changed();
    }
  }

  /** Several requests for a key that has no place wait for one placing. */
  #placeOnce(service: string, key: string): Promise<void> {
    const id = idOf(service, key);
    const under = this.#placing.get(id);
    if (under) return under;
    const placing = this.#place(service, key).finally(() => this.#placing.delete(id));
    this.#placing.set(id, placing);
    return placing;
  }

  async #place(name: string, key: string): Promise<void> {
    const { pins, clock, limit } = this.#options;
    // Until the store has its end, it would give the old pin back.
    while (this.#ends.has(name, key)) await this.#ends.save();
    const service = this.#services.get(name);
    const known = this.#registry.find(name, key);
    if (!service || this.#closing !== "no") throw new HoldoverError("NO_INSTANCE", { service: name });
    if (!known && this.#registry.size + sum(this.#beingWritten) >= limit) {
      throw new HoldoverError("SESSION_LIMIT", { limit });
    }
    const last = known?.lastPlace;
    const choice = place(service, key, (instance) => this.#countOn(instance), last?.release);
    if (!choice) throw new HoldoverError("NO_INSTANCE", { service: name });
    const now = clock.now();
    const candidate = { service: name, key, release: choice.release, instance: choice.instance.id };
    const openedAtMs = known?.openedAtMs ?? now;
    bump(this.#beingWritten, candidate.instance, 1);
    let pin: Pin;
    try {
      pin = await pins.place({ ...candidate, openedAtMs }, last?.fence ?? null, now);
    } finally {
      bump(this.#beingWritten, candidate.instance, -1);
    }
    if (known && known.state.name !== "ended") this.#registry.placeAnew(known, pin);
    else this.#registry.add(pin, clock.now());
    // With a store that answers later, an instance may have died or a table come into force in between.
    if (this.#instances.has(pin.instance)) {
      if (!this.#admits(pin, last?.release)) await this.#unplace(pin);
    } else if (known) await this.#disrupt(pin.instance);
    // Nobody has been on it: its instance's death disrupts nobody.
    else await this.#unplace(pin);
  }

  /** Whether the table in force would place a session where this pin says. */
  #admits(pin: Pin, lastRelease: string | undefined): boolean {
    const service = this.#services.get(pin.service);
    if (!service) return false;
    const releases = service.releases.filter((release) => release.id === pin.release);
    return place({ ...service, releases }, pin.key, () => 0, lastRelease) !== undefined;
  }

  /** Nobody has joined it yet: whoever waits for it has it placed by the table in force. */
  async #unplace(pin: Pin): Promise<void> {
    const session = this.#registry.find(pin.service, pin.key);
    if (session) this.#end(session, "moved");
    await this.#ends.save();
  }

  /** Sessions that live on an instance or are about to. */
  #countOn(instance: string): number {
    return this.#registry.countOn(instance) + (this.#beingWritten.get(instance) ?? 0);
  }

  #join(session: Session, at: NonNullable<Session["place"]>, connection: HeldConnection, endsWith: boolean): Hold {
    const address = this.#instances.get(at.instance);
    if (!address) throw new HoldoverError("NO_INSTANCE", { service: session.service });
    const fence = this.#registry.attach(session);
    const part = this.#parts.join(session, at.instance, connection);
    this.#options.changed();
    return {
      release: at.release,
      instance: at.instance,
      host: address.host,
      port: address.port,
      fence,
      done: () => {
        if (this.#parts.leave(part)) this.#left(session, fence, endsWith);
      },
    };
  }

  #left(session: Session, fence: number, endsWith: boolean): void {
    this.#registry.detach(session, fence, this.#options.clock.now());
    const linger = this.#services.get(session.service)?.lingerMs;
    if (session.state.name === "lingering" && session.place && (endsWith || linger === 0)) {
      this.#end(session, "hangup");
      // What fails is saved again with the next tick, which tells of it.
      this.#ends.save().catch(() => {});
    }
    this.#options.changed();
  }

  async #disrupt(instance: string): Promise<void> {
    const now = this.#options.clock.now();
    // Those of sessions that have ended, too: they wait for the disconnect cap, and nobody is there any more.
    const parts = this.#parts.on(instance);
    const lost = this.#registry.loseInstance(instance, now);
    if (lost.length > 0) {
      try {
        await this.#options.pins.disrupted(lost, now);
      } catch (thrown) {
        this.#options.log("sessions.disrupted.unsaved", {
          instance,
          count: lost.length,
          problem: asHoldoverError(thrown).message,
        });
      }
    }
    for (const part of parts) this.#parts.tell(part, "lost");
    this.#options.changed();
  }

  /** Takes a session out for good. The store hears of it with the next save; its connections are the caller's to tell. */
  #end(session: Session, reason: EndReason): void {
    this.#ends.add(this.#registry.end(session, reason, this.#options.clock.now()));
  }

  #tick(): void {
    const now = this.#options.clock.now();
    this.#endLingeredOut(now);
    for (const service of this.#services.values()) this.#closeSome(service, now);
    if (this.#ends.size > 0) {
      this.#ends.save().then(this.#options.changed, (thrown: unknown) => {
        const problem = asHoldoverError(thrown).message;
        this.#options.log("sessions.ended.unsaved", { count: this.#ends.size, problem });
      });
    }
    this.#stopTicking = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #endLingeredOut(now: number): void {
    // Before there is any table nobody knows how long sessions linger; pins are read back before one comes.
    if (this.#table.number === 0) return;
    for (const name of this.#registry.services()) {
      const lingerMs = this.#services.get(name)?.lingerMs ?? 0;
      for (const session of this.#registry.lingeredOut(name, lingerMs, now)) {
        if (this.#ends.size >= ENDS_A_TICK) return;
        // Somebody came back in time and waits for its new place.
        if (this.#placing.has(idOf(name, session.key))) continue;
        this.#end(session, session.place ? "expired" : "lost");
      }
    }
  }

  /** Ends sessions of releases that are being left, as fast as the disconnect cap allows. */
  #closeSome(service: RoutedService, now: number): void {
    const leaving = this.#leaving(service);
    if (leaving === null && this.#closings.waiting(service.name) === 0) return;
    this.#closings.run(service, this.#parts.liveOf(service.name), now, () => {
      const next = this.#ends.size < ENDS_A_TICK ? leaving?.next() : undefined;
      if (!next || next.done) return null;
      const { session, how } = next.value;
      this.#end(session, how);
      return this.#parts.of(session).map((part) => () => this.#parts.tell(part, how));
    });
  }

  #leaving(service: RoutedService): Generator<{ session: Session; how: "moved" | "cut" }> | null {
    const registry = this.#registry;
    const closing = this.#closing;
    if (closing !== "cut" && service.releases.every((release) => release.ending === null)) return null;
    return (function* () {
      for (const release of service.releases) {
        const how = closing === "cut" ? "cut" : release.ending;
        if (how === null) continue;
        for (const instance of release.instances)
          for (const session of registry.on(instance.id)) yield { session, how };
      }
    })();
  }
}

function liveSession(session: Session): LiveSession {
  const { service, key, openedAtMs, connections, place: at, lastPlace, state } = session;
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
  };
}

function bump(counts: Map<string, number>, of: string, by: 1 | -1): void {
  const count = (counts.get(of) ?? 0) + by;
  if (count === 0) counts.delete(of);
  else counts.set(of, count);
}

function sum(counts: Map<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

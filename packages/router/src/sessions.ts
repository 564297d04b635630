import { randomBytes } from "node:crypto";
import {
  asHoldoverError,
  HoldoverError,
  place,
  SessionRegistry,
  type Clock,
  type EndedSession,
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
import type { HeldConnection, Hold, SessionHolder } from "./hold.ts";

/** How often lingering sessions are looked through and closings go on, ms. A linger ends at most this much late. */
const TICK_MS = 100;
/** Placing is tried again when the place was lost while the store wrote it. */
const PLACE_ATTEMPTS = 3;
/**
 * Sessions ended in one tick at the most: after a restart every pin lingers from the same moment, and ending a million
 * of them at once would hold up everybody else.
 */
const ENDS_A_TICK = 2000;
/** Ends are stored in batches of this size, so that a large release leaving does not hold up what is live. */
const END_BATCH = 500;

interface Part {
  readonly session: Session;
  readonly instance: string;
  readonly connection: HeldConnection;
  left: boolean;
  /** It was told to end on purpose and has not left yet. */
  closing: boolean;
}

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
  readonly #parts = new Map<Session, Set<Part>>();
  /** Connections by instance, those of ended sessions that still wait to be closed included. */
  readonly #heldOn = new Map<string, number>();
  readonly #heldOf = new Map<string, number>();
  /** Connections by service that were told to end on purpose and are still on their way out. */
  readonly #closingOf = new Map<string, number>();
  readonly #placing = new Map<string, Promise<void>>();
  /** Instances that died, although the table in force may still list them. */
  readonly #gone = new Set<string>();
  /** Instances given up since the table in force was made. A later table that lists one again takes it back. */
  readonly #givenUp = new Set<string>();
  /** Ends that the store has not taken yet. */
  #unsaved: EndedSession[] = [];
  #saving: Promise<void> = Promise.resolve();
  #table: RoutingTable = { number: 0, services: [] };
  /** The table without what is gone. */
  #services = new Map<string, RoutedService>();
  #instances = new Map<string, RoutedInstance>();
  #closing: "no" | "finish" | "cut" = "no";
  #stopTicking: () => void = () => {};

  constructor(options: SessionsOptions) {
    this.#options = options;
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
    for (let attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
      const session = this.#registry.find(service.name, key);
      if (session?.place) return this.#join(session, session.place, connection, false);
      await this.#placeOnce(service.name, key);
    }
    throw new HoldoverError("NO_INSTANCE", { service: service.name });
  }

  async holdConnection(service: RoutedService, connection: HeldConnection): Promise<Hold> {
    const key = `~${randomBytes(15).toString("base64url")}`;
    await this.#placeOnce(service.name, key);
    const session = this.#registry.find(service.name, key);
    if (!session?.place) throw new HoldoverError("NO_INSTANCE", { service: service.name });
    return this.#join(session, session.place, connection, true);
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
    const sessions = this.#registry.countOn(instance);
    if (sessions > 0 || (this.#heldOn.get(instance) ?? 0) > 0) return { released: false, sessions };
    this.#givenUp.add(instance);
    this.#index();
    return { released: true, cut: 0 };
  }

  /** Admits no session any more; `cut` also ends what is live, paced. Resolves by `openCount()` reaching zero. */
  startClosing(how: "finish" | "cut"): void {
    this.#closing = how;
    this.#options.changed();
  }

  isClosing(): boolean {
    return this.#closing !== "no";
  }

  /** Sessions with a connection, and connections of ended ones that are still being closed. */
  openCount(): number {
    let open = 0;
    for (const held of this.#heldOn.values()) open += held;
    return open;
  }

  /** Ends what only lingers: with its instance its state goes too. */
  async endLingering(): Promise<number> {
    let count = 0;
    for (const service of new Set([...this.#services.keys(), ...this.#registry.services()])) {
      for (const session of this.#registry.of(service)) {
        this.#end(session, "cut");
        count += 1;
      }
    }
    await this.#save();
    return count;
  }

  counts(): Map<string, SessionCount> {
    const counts = new Map<string, SessionCount>();
    for (const instance of this.#registry.instances()) counts.set(instance, this.#registry.countsOf(instance));
    for (const [instance, held] of this.#heldOn) {
      if (held === 0) continue;
      const known = counts.get(instance) ?? { open: 0, lingering: 0, connections: 0 };
      counts.set(instance, { ...known, connections: held });
    }
    return counts;
  }

  list(query: SessionQuery): LiveSession[] {
    const services = query.service === undefined ? [...this.#registry.services()] : [query.service];
    const found: LiveSession[] = [];
    for (const service of services) {
      for (const session of this.#registry.of(service)) {
        if (query.release !== undefined && session.lastPlace.release !== query.release) continue;
        if (query.key !== undefined && session.key !== query.key) continue;
        found.push(liveSession(session));
      }
    }
    return found.toSorted((a, b) => a.openedAtMs - b.openedAtMs).slice(0, query.limit);
  }

  #follow(table: RoutingTable): void {
    this.#table = table;
    this.#givenUp.clear();
    const listed = new Set(table.services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => one.id))));
    for (const instance of this.#gone) if (!listed.has(instance)) this.#gone.delete(instance);
    this.#index();
    // Control lists every instance that is alive: one that is missing has died, and its sessions have to know.
    for (const instance of this.#registry.instances()) {
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

  /** Several requests for a key that has no place wait for one placing. */
  #placeOnce(service: string, key: string): Promise<void> {
    const id = `${service}\n${key}`;
    const under = this.#placing.get(id);
    if (under) return under;
    const placing = this.#place(service, key).finally(() => this.#placing.delete(id));
    this.#placing.set(id, placing);
    return placing;
  }

  async #place(name: string, key: string): Promise<void> {
    const { pins, clock, limit } = this.#options;
    if (this.#unsaved.length > 0) await this.#save();
    const service = this.#services.get(name);
    const known = this.#registry.find(name, key);
    if (!service || this.#closing !== "no") throw new HoldoverError("NO_INSTANCE", { service: name });
    if (!known && this.#registry.size >= limit) throw new HoldoverError("SESSION_LIMIT", { limit });
    const choice = place(service, key, (instance) => this.#registry.countOn(instance), known?.lastPlace.release);
    if (!choice) throw new HoldoverError("NO_INSTANCE", { service: name });
    const now = clock.now();
    const pin = await pins.place(
      {
        service: name,
        key,
        release: choice.release,
        instance: choice.instance.id,
        openedAtMs: known?.openedAtMs ?? now,
      },
      known?.lastPlace.fence ?? null,
      now,
    );
    if (known && known.state.name !== "ended") this.#registry.placeAnew(known, pin);
    else this.#registry.add(pin, now);
    this.#options.changed();
    if (!this.#instances.has(pin.instance)) await this.#disrupt(pin.instance);
    else if (!this.#mayStay(pin, known?.lastPlace.release === pin.release)) await this.#unplace(pin);
  }

  /** With a store that answers later, a cutover may have come in between: then the session is placed by the new table. */
  #mayStay(pin: Pin, wasThere: boolean): boolean {
    const release = this.#services.get(pin.service)?.releases.find((candidate) => candidate.id === pin.release);
    return release?.admission === "new" || (wasThere && release?.admission === "existing");
  }

  async #unplace(pin: Pin): Promise<void> {
    const session = this.#registry.find(pin.service, pin.key);
    if (!session || session.connections > 0) return;
    this.#end(session, "moved");
    await this.#save();
  }

  #join(session: Session, at: NonNullable<Session["place"]>, connection: HeldConnection, endsWith: boolean): Hold {
    const address = this.#instances.get(at.instance);
    if (!address) throw new HoldoverError("NO_INSTANCE", { service: session.service });
    const fence = this.#registry.attach(session);
    const part: Part = { session, instance: at.instance, connection, left: false, closing: false };
    const parts = this.#parts.get(session);
    if (parts) parts.add(part);
    else this.#parts.set(session, new Set([part]));
    this.#held(part, 1);
    this.#options.changed();
    return {
      release: at.release,
      instance: at.instance,
      host: address.host,
      port: address.port,
      fence,
      done: () => {
        if (part.left) return;
        part.left = true;
        this.#leave(part, fence, endsWith);
      },
    };
  }

  #leave(part: Part, fence: number, endsWith: boolean): void {
    const { session } = part;
    const parts = this.#parts.get(session);
    parts?.delete(part);
    if (parts?.size === 0) this.#parts.delete(session);
    this.#held(part, -1);
    if (part.closing) this.#closingPart(part, -1);
    this.#registry.detach(session, fence, this.#options.clock.now());
    const linger = this.#services.get(session.service)?.lingerMs;
    if (session.state.name === "lingering" && session.place && (endsWith || linger === 0)) {
      this.#end(session, "hangup");
      void this.#save().catch(() => {});
    }
    this.#options.changed();
  }

  #held(part: Part, by: 1 | -1): void {
    const on = (this.#heldOn.get(part.instance) ?? 0) + by;
    if (on === 0) this.#heldOn.delete(part.instance);
    else this.#heldOn.set(part.instance, on);
    const of = (this.#heldOf.get(part.session.service) ?? 0) + by;
    this.#heldOf.set(part.session.service, of);
  }

  #closingPart(part: Part, by: 1 | -1): void {
    part.closing = by === 1;
    const { service } = part.session;
    this.#closingOf.set(service, (this.#closingOf.get(service) ?? 0) + by);
  }

  async #disrupt(instance: string): Promise<void> {
    const now = this.#options.clock.now();
    const lost = this.#registry.loseInstance(instance, now);
    const parts = lost.flatMap(({ session }) => [...(this.#parts.get(session) ?? [])]);
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
    for (const part of parts) if (part.instance === instance && !part.left) part.connection.end("lost");
    this.#options.changed();
  }

  /** Takes a session out for good. The store hears of it with the next save. */
  #end(session: Session, reason: EndReason): Part[] {
    const parts = [...(this.#parts.get(session) ?? [])];
    this.#unsaved.push(this.#registry.end(session, reason, this.#options.clock.now()));
    return parts;
  }

  /** Stores the ends, in order and in batches; what the store does not take is tried again. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(
      () => this.#saveNow(),
      () => this.#saveNow(),
    );
    return this.#saving;
  }

  async #saveNow(): Promise<void> {
    while (this.#unsaved.length > 0) {
      const batch = this.#unsaved.slice(0, END_BATCH);
      await this.#options.pins.end(batch, this.#options.clock.now());
      this.#unsaved = this.#unsaved.slice(batch.length);
    }
    this.#options.changed();
  }

  #tick(): void {
    const now = this.#options.clock.now();
    for (const name of this.#registry.services()) {
      const lingerMs = this.#services.get(name)?.lingerMs ?? 0;
      for (const session of this.#registry.lingeredOut(name, lingerMs, now)) {
        if (this.#unsaved.length >= ENDS_A_TICK) break;
        this.#end(session, session.place ? "expired" : "lost");
      }
    }
    for (const service of this.#services.values()) this.#closeSome(service, now);
    if (this.#unsaved.length > 0) {
      this.#save().catch((thrown: unknown) => {
        this.#options.log("sessions.ended.unsaved", {
          count: this.#unsaved.length,
          problem: asHoldoverError(thrown).message,
        });
      });
    }
    this.#stopTicking = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  /** Ends sessions of releases that are being left, as fast as the disconnect cap allows. */
  #closeSome(service: RoutedService, now: number): void {
    const leaving = this.#leaving(service);
    if (leaving === null && this.#closings.waiting(service.name) === 0) return;
    // Those on their way out are no longer live: counted in, each round would allow more than the last.
    const live = (this.#heldOf.get(service.name) ?? 0) - (this.#closingOf.get(service.name) ?? 0);
    this.#closings.run(service, live, now, () => {
      const next = this.#unsaved.length < ENDS_A_TICK ? leaving?.next() : undefined;
      if (!next || next.done) return false;
      const { session, how } = next.value;
      this.#closings.add(
        service.name,
        this.#end(session, how).map((part) => () => {
          if (part.left) return false;
          this.#closingPart(part, 1);
          part.connection.end(how);
          return true;
        }),
      );
      return true;
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

import {
  asHoldoverError,
  HoldoverError,
  SessionRegistry,
  type AgesQuery,
  type Clock,
  type EndReason,
  type Latencies,
  type Placement,
  type PinStore,
  type Released,
  type RoutedService,
  type RoutingTable,
  type Session,
  type SessionAges,
  type SessionCount,
  type LiveSession,
  type SessionList,
  type SessionMove,
  type SessionMoved,
  type SessionQuery,
  type TableCache,
} from "@holdover/core";
import { Closings, type Closing } from "./closings.ts";
import { ConnectionAges } from "./connection-ages.ts";
import { Ends } from "./ends.ts";
import type { HeldConnection, Hold, InstanceClaim, LabelReader, SessionHolder } from "./hold.ts";
import { Leaving } from "./leaving.ts";
import { Looks } from "./looks.ts";
import { Parts, type Part } from "./parts.ts";
import { Placing } from "./placing.ts";
import { sessionAges } from "./session-ages.ts";
import { allSessions, countSessions, listSessions } from "./session-list.ts";
import { TableInForce } from "./table-in-force.ts";
import { Wedged } from "./wedged.ts";

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
  /** A key for a session that is its connection; no two are ever the same. */
  readonly newKey: () => string;
  /** From 0 up to 1: spreads the ages at which connections are closed. */
  readonly random: () => number;
  /**
   * Looks at once whether an instance to which a connection failed still runs. Where it has died, `lose` has been called by
   * the time this resolves, which MUST be within a second. Left out: nobody can tell, and it is left to health checks.
   */
  readonly look?: (instance: string) => Promise<void>;
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
  readonly #inForce = new TableInForce();
  readonly #wedged = new Wedged();
  readonly #leaving = new Leaving();
  /** Sessions that are to be moved by word when the disconnect cap has room for them, each under the fence that was meant. */
  readonly #toMove = new Map<Session, number>();
  /** Connections of sessions that their applications have cut: they wait for the disconnect cap. */
  readonly #finished = new Set<{ readonly service: string; readonly closings: Closing[] }>();
  readonly #ages: ConnectionAges;
  readonly #ends: Ends;
  readonly #looks: Looks;
  readonly #placing: Placing;
  /** Connections that wait for a place. */
  #waiting = 0;
  /** The search that is under way, or was last. */
  #search: Promise<unknown> = Promise.resolve();
  #closing: "no" | "finish" | "cut" = "no";
  #stopTicking: () => void = () => {};

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#ends = new Ends(options.pins, options.clock);
    this.#looks = new Looks({ look: () => Promise.resolve(), ...options });
    this.#ages = new ConnectionAges(options.random);
    this.#placing = new Placing({
      ...options,
      registry: this.#registry,
      inForce: this.#inForce,
      ends: this.#ends,
      isClosing: () => this.isClosing(),
      disrupt: (instance) => this.#disrupt(instance),
    });
  }

  /** Reads back the table and the pins, and begins to keep time. */
  async open(): Promise<void> {
    const { pins, tableCache, clock } = this.#options;
    const table = tableCache.load();
    if (table) this.#inForce.follow(table);
    const now = clock.now();
    for (const pin of await pins.pins()) {
      this.#registry.add(pin, now, this.#inForce.lingerReadBack(pin.service));
    }
    this.#tableChanged();
    this.#tick();
  }

  close(): void {
    this.#stopTicking();
  }

  table(): RoutingTable {
    return this.#inForce.table;
  }

  /** Puts a table in force, if its number is above the one in force. */
  apply(table: RoutingTable): void {
    const before = this.#inForce.table.number;
    if (table.number <= before) return;
    this.#options.tableCache.save(table);
    this.#inForce.follow(table);
    if (before === 0) this.#promiseReadBack();
    this.#tableChanged();
    this.#options.changed();
  }

  async hold(service: RoutedService, key: string, connection: HeldConnection, label?: LabelReader): Promise<Hold> {
    return this.#hold(service.name, key, connection, label, false);
  }

  async holdConnection(service: RoutedService, connection: HeldConnection, label?: LabelReader): Promise<Hold> {
    return this.#hold(service.name, this.#options.newKey(), connection, label, true);
  }

  /** Where a session would go now, of the instances that are eligible; undefined where it would go nowhere. */
  choose(service: string, key: string, eligible: (instance: string) => boolean): Placement | undefined {
    return this.#placing.choose(service, key, eligible);
  }

  /**
   * Places a session on one instance, durably, and joins it there for its worker: it ends when the worker leaves it.
   * @throws HoldoverError NO_INSTANCE where the instance may not have it, or it lives elsewhere; SESSION_LIMIT, STORE_FAILED
   */
  async holdOn(
    service: string,
    key: string,
    instance: string,
    connection: HeldConnection,
    label: string | null,
  ): Promise<Hold> {
    if (!this.#registry.find(service, key)?.place) await this.#placing.place(service, key, label, instance);
    const placed = this.#registry.find(service, key);
    if (placed?.place?.instance !== instance) throw new HoldoverError("NO_INSTANCE", { service });
    return this.#join(placed, placed.place, connection, true, true);
  }

  /** Joins a session for the worker of the instance that it lives on. @throws HoldoverError SESSION_NOT_HELD */
  attach(claim: InstanceClaim, connection: HeldConnection, endsWith: boolean): Hold {
    const session = this.#claimed(claim);
    if (!session?.place) throw new HoldoverError("SESSION_NOT_HELD", { ...claim });
    return this.#join(session, session.place, connection, endsWith, false);
  }

  /**
   * The application says that a session is over: it ends with its last connection, at once where it has none.
   * @throws HoldoverError SESSION_NOT_HELD
   */
  finish(claim: InstanceClaim, how: "hangup" | "cut"): void {
    const session = this.#claimed(claim);
    if (!session) throw new HoldoverError("SESSION_NOT_HELD", { ...claim });
    const parts = [...this.#parts.of(session)];
    for (const part of parts) part.promise = { ...part.promise, endsWith: true };
    if (parts.length > 0 && how === "hangup") return;
    this.#end(session, how);
    if (parts.length > 0) this.#finished.add({ service: session.service, closings: this.#closingsFor(parts, "cut") });
    this.#ends.save().then(this.#options.changed, () => {});
    this.#options.changed();
  }

  /**
   * Moves one session by word: it ends here when the disconnect cap has room, and is placed anew when somebody comes back.
   * @throws HoldoverError SESSION_NOT_LIVE, NO_INSTANCE where nothing would take it, HOST_CLOSING
   */
  move({ service, key, fence: meant }: SessionMove): SessionMoved {
    const session = this.#registry.find(service, key);
    if (!session?.place || (meant !== null && meant !== session.place.fence)) {
      throw new HoldoverError("SESSION_NOT_LIVE", { service, key });
    }
    if (this.isClosing()) throw new HoldoverError("HOST_CLOSING");
    const to = this.#placing.chooseAnew(session);
    if (!to) throw new HoldoverError("NO_INSTANCE", { service });
    const { release, instance, fence } = session.place;
    const { connections } = session;
    const job = this.#parts.isJob(session);
    if (meant !== null) this.#toMove.set(session, fence);
    return { release, instance, fence, connections, job, to: to.release };
  }

  /** The worker that held a session is gone for too long: it does not end with that, and waits for whoever comes. */
  outlast(claim: InstanceClaim): void {
    const session = this.#claimed(claim);
    if (!session) return;
    for (const part of this.#parts.of(session)) part.promise = { ...part.promise, endsWith: false };
  }

  /** Whether an instance may still keep the state of a session: it lives there, or was moved from there a moment ago. */
  mayKeepState(claim: InstanceClaim): boolean {
    return this.#claimed(claim) !== undefined || this.#leaving.has(claim);
  }

  /** The worker of an instance says that nothing is to be placed there any more, or that it may be again. */
  drain(instance: string, isDraining: boolean): void {
    this.#inForce.drain(instance, isDraining);
    this.#options.changed();
  }

  find(service: string, key: string): Session | undefined {
    return this.#registry.find(service, key);
  }

  /** The sessions that live on an instance, each under its fence. */
  *livingOn(instance: string): Generator<{ readonly key: string; readonly fence: number }> {
    for (const { key, place } of this.#registry.on(instance)) if (place) yield { key, fence: place.fence };
  }

  #claimed({ service, key, instance, fence }: InstanceClaim): Session | undefined {
    const session = this.#registry.find(service, key);
    return session?.place?.instance === instance && session.place.fence === fence ? session : undefined;
  }

  async unreachable(instance: string): Promise<boolean> {
    if (this.#inForce.instance(instance)) await this.#looks.at(instance);
    return this.#inForce.instance(instance) === undefined;
  }

  /**
   * An instance died. Its sessions lose their place at once and their connections end; each is placed anew when
   * somebody comes back within its linger.
   */
  async lose(instance: string): Promise<void> {
    this.#inForce.lose(instance);
    await this.#disrupt(instance);
  }

  /** Gives an instance up, if nothing is on it: from then on nothing is placed there. */
  release(instance: string): Released {
    const free = this.isFree(instance);
    if (free.released) this.#inForce.giveUp(instance);
    return free;
  }

  /** Whether nothing is on an instance: where it drains, nothing comes any more either. */
  isFree(instance: string): Released {
    // An end that is not stored yet would be told as the loss of its session, were this process to die after the instance.
    const sessions = this.#placing.countOn(instance) + this.#ends.countOn(instance);
    if (sessions > 0 || this.#parts.countOn(instance) > 0) return { released: false, sessions };
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
    return countSessions(this.#registry, this.#parts, this.#wedged.counts());
  }

  /** Every live session, oldest first, at this very moment. It holds up whoever waits: for models that check what is here. */
  all(): LiveSession[] {
    return allSessions(this.#registry, (session) => this.#wedged.since(session));
  }

  /** One search after the other: of many at once each would have its turn before anybody else has one. */
  list(query: SessionQuery): Promise<SessionList> {
    const search = () =>
      listSessions(this.#registry, query, this.#options.clock, (session) => this.#wedged.since(session));
    if (query.key !== undefined) return search();
    const found = this.#search.then(search);
    this.#search = found.catch(() => {});
    return found;
  }

  /** How long sessions took to be placed. */
  placingTook(): Latencies {
    return this.#placing.took.read();
  }

  ages(query: AgesQuery): Promise<SessionAges> {
    return sessionAges(this.#registry, query, this.#options.clock, (session) => this.#parts.isJob(session));
  }

  #tableChanged(): void {
    this.#ages.follow(this.#inForce.services(), this.#parts.all());
    // Control lists every instance that is alive: one that is missing has died, and its sessions have to know.
    if (this.#inForce.table.number === 0) return;
    const listed = this.#inForce.listed();
    for (const instance of new Set([...this.#registry.instances(), ...this.#parts.instances()])) {
      if (!listed.has(instance)) void this.#disrupt(instance);
    }
  }

  /** The first table has come, and tells how long the sessions that were read back may linger. */
  #promiseReadBack(): void {
    for (const service of this.#registry.services()) {
      for (const session of this.#registry.of(service)) {
        this.#registry.promise(session, this.#inForce.lingerReadBack(service));
      }
    }
  }

  /** Finds the session's place or places it; a session that ends in between, before anybody used it, is placed again. */
  async #hold(
    service: string,
    key: string,
    connection: HeldConnection,
    label: LabelReader | undefined,
    endsWith: boolean,
  ): Promise<Hold> {
    const session = this.#registry.find(service, key);
    if (session?.place) return this.#join(session, session.place, connection, endsWith, false);
    // Of whoever comes without a place, since it may be placed for it; a bad one costs nobody else an answer.
    const read = label?.() ?? null;
    this.#waiting += 1;
    try {
      for (let attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
        await this.#placing.place(service, key, read);
        const placed = this.#registry.find(service, key);
        if (placed?.place) return this.#join(placed, placed.place, connection, endsWith, true);
      }
      throw new HoldoverError("NO_INSTANCE", { service });
    } finally {
      this.#waiting -= 1;
      this.#options.changed();
    }
  }

  #join(
    session: Session,
    at: NonNullable<Session["place"]>,
    connection: HeldConnection,
    endsWith: boolean,
    placed: boolean,
  ): Hold {
    const address = this.#inForce.instance(at.instance);
    if (!address) throw new HoldoverError("NO_INSTANCE", { service: session.service });
    const { clock } = this.#options;
    const lingerMs = this.#inForce.release(session.service, at.release)?.lingerMs ?? session.lingerMs;
    const fence = this.#registry.attach(session, lingerMs, clock.now());
    const part = this.#parts.join(session, at.instance, connection, { fence, lingerMs, endsWith });
    this.#options.changed();
    return {
      key: session.key,
      release: at.release,
      instance: at.instance,
      host: address.host,
      port: address.port,
      fence,
      label: session.label,
      placed,
      lasts: () => {
        if (part.lastsSinceMs !== null) return;
        part.lastsSinceMs = clock.now();
        this.#ages.add(part);
      },
      done: () => this.#leave(part),
    };
  }

  #leave(part: Part): void {
    const told = part.state === "told";
    if (!this.#parts.leave(part)) return;
    this.#ages.delete(part);
    const { session, promise } = part;
    this.#registry.detach(session, promise.fence, promise.lingerMs, this.#options.clock.now());
    if (session.state.name === "lingering" && session.place && (promise.endsWith || session.lingerMs === 0)) {
      // Told to end and not ended with its session: it was too old, and there is nothing that waits for it.
      this.#end(session, told ? "moved" : "hangup");
      // What fails is saved again with the next tick, which tells of it.
      this.#ends.save().then(this.#options.changed, () => {});
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
    this.#leaving.forget(now);
    if (this.#wedged.look(this.#inForce.services(), this.#registry, this.#parts, now)) this.#options.changed();
    this.#ages.look(now);
    for (const service of this.#inForce.services()) this.#closeSome(service, now);
    if (this.#ends.size > 0) {
      this.#ends.save().then(this.#options.changed, (thrown: unknown) => {
        const problem = asHoldoverError(thrown).message;
        this.#options.log("sessions.ended.unsaved", { count: this.#ends.size, problem });
      });
    }
    this.#stopTicking = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #endLingeredOut(now: number): void {
    for (const name of this.#registry.services()) {
      for (const session of this.#registry.lingeredOut(name, now)) {
        if (this.#ends.size >= ENDS_A_TICK) return;
        // Somebody came back in time and waits for its new place.
        if (this.#placing.has(name, session.key)) continue;
        this.#end(session, session.place ? "expired" : "lost");
      }
    }
  }

  /** Closes on purpose what is to be closed of a service, as fast as the disconnect cap allows. */
  #closeSome(service: RoutedService, now: number): void {
    const closings = this.#closingsOf(service, now);
    this.#closings.run(service, this.#parts.liveOf(service.name), now, () =>
      this.#ends.size < ENDS_A_TICK ? (closings.next().value ?? null) : null,
    );
  }

  /** The connections of one session after another: of what is being left, of what is wedged, and those that are too old. */
  *#closingsOf(service: RoutedService, now: number): Generator<Closing[], undefined> {
    for (const finished of this.#finished) {
      if (finished.service !== service.name) continue;
      this.#finished.delete(finished);
      yield finished.closings;
    }
    for (const [session, fence] of this.#toMove) {
      if (session.service !== service.name) continue;
      this.#toMove.delete(session);
      // What it was asked for may be over, and what would have taken it gone.
      const isMeant = session.state.name !== "ended" && session.place?.fence === fence;
      if (!isMeant || !this.#placing.chooseAnew(session) || this.#parts.finishing(session)) continue;
      yield this.#endOnPurpose(session, "moved");
    }
    for (const release of service.releases) {
      for (const instance of release.instances) {
        const how = this.#closing === "cut" ? "cut" : (release.ending ?? instance.ending);
        if (how === null) continue;
        for (const session of this.#registry.on(instance.id)) {
          // A job cannot come back elsewhere: it is over when it has finished, or is cut at the end of the grace.
          if (how === "moved" && this.#parts.finishing(session)) continue;
          yield this.#endOnPurpose(session, how);
        }
      }
    }
    for (const session of this.#wedged.toCut(service, this.#parts)) yield this.#endOnPurpose(session, "cut");
    for (const part of this.#ages.ready(service.name, now)) yield [() => this.#closeAged(part)];
  }

  #endOnPurpose(session: Session, how: "moved" | "cut"): Closing[] {
    if (how === "moved") this.#leaving.add(session, this.#options.clock.now());
    this.#end(session, how);
    return this.#closingsFor(this.#parts.of(session), how);
  }

  #closingsFor(parts: Iterable<Part>, how: "moved" | "cut"): Closing[] {
    return Array.from(parts, (part) => () => this.#parts.tell(part, how));
  }

  /** Its session stays where it is and waits for it, but for one that is this connection. */
  #closeAged(part: Part): boolean {
    this.#ages.delete(part);
    const { session, promise } = part;
    // Of a session that has ended it waits for its turn already.
    if (part.state !== "held" || session.state.name === "ended") return false;
    if (!promise.endsWith) return this.#parts.tell(part, "aged");
    this.#leaving.add(session, this.#options.clock.now());
    this.#end(session, "moved");
    return this.#parts.tell(part, "moved");
  }
}

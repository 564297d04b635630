import {
  HoldoverError,
  NO_FORMATS,
  type AgesQuery,
  type DataPlane,
  type FormatTrialReport,
  type FormatTrialRequest,
  type KeptSamples,
  type OpenedSession,
  type Released,
  type RoutingTable,
  type SamplesRequest,
  type SessionAges,
  type SessionCount,
  type SessionEvent,
  type SessionList,
  type SessionMove,
  type SessionMoved,
  type SessionQuery,
  type SessionRequest,
  type Traffic,
} from "@holdover/core";
import { idleTraffic } from "./idle-host.ts";

type EventListener = (host: string, events: readonly SessionEvent[]) => Promise<void>;

/** A data plane without connections: sessions are numbers that a test sets, and the link is up or down as it says. */
export class MemoryDataPlane implements DataPlane {
  /** Every table that came into force, oldest first. */
  readonly tables: RoutingTable[] = [];
  readonly #sessions = new Map<string, SessionCount>();
  readonly #ages = new Map<string, SessionAges>();
  /** What `open` does: nobody takes a session until a test says otherwise. */
  opens: (request: SessionRequest) => Promise<OpenedSession> = ({ service, key }) =>
    Promise.reject(new HoldoverError("WORKER_NONE", { service, key: key ?? "without a key", reasons: "no worker" }));
  /** What `move` does: no session is live until a test says otherwise. */
  moves: (move: SessionMove) => Promise<SessionMoved> = ({ service, key }) =>
    Promise.reject(new HoldoverError("SESSION_NOT_LIVE", { service, key }));
  /** What `formats` does: no release declares any until a test says otherwise. */
  tries: (request: FormatTrialRequest) => Promise<FormatTrialReport> = () => Promise.resolve(NO_FORMATS);
  /** What `samples` does: nothing is stored until a test says otherwise. */
  keeps: (request: SamplesRequest) => Promise<KeptSamples> = () => Promise.resolve({ samples: [], withheld: 0 });
  /** What `sessions` does: none is known one by one until a test says otherwise. */
  lists: (query: SessionQuery) => Promise<SessionList> = () => Promise.resolve({ sessions: [], matches: 0 });
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<EventListener>();
  #number = 0;
  #linked = true;
  #closing = false;

  linked(): boolean {
    return this.#linked;
  }

  setLinked(linked: boolean): void {
    this.#linked = linked;
    this.#changed();
  }

  /** As a host does that comes back with the table of another time. */
  setTableNumber(number: number): void {
    this.#number = number;
    this.#changed();
  }

  setSessions(instance: string, open: number): void {
    if (open === 0) this.#sessions.delete(instance);
    else this.#sessions.set(instance, { open, lingering: 0, connections: open, wedged: 0 });
    this.#changed();
  }

  /** What `ages` answers for a service, however it is asked; before that it knows of no session. */
  setAges(service: string, ages: SessionAges): void {
    this.#ages.set(service, ages);
  }

  setClosing(): void {
    this.#closing = true;
    this.#changed();
  }

  /** Hands a batch to whoever listens. @throws what a listener throws: then the batch is to come again */
  async tell(host: string, events: readonly SessionEvent[]): Promise<void> {
    for (const listener of this.#eventListeners) await listener(host, events);
  }

  async apply(table: RoutingTable): Promise<void> {
    this.#mustBeLinked();
    if (table.number <= this.#number) return;
    this.#number = table.number;
    this.tables.push(table);
    this.#changed();
  }

  async release(instance: string): Promise<Released> {
    this.#mustBeLinked();
    const sessions = this.#sessions.get(instance)?.open ?? 0;
    return sessions === 0 ? { released: true } : { released: false, sessions };
  }

  async open(request: SessionRequest): Promise<OpenedSession> {
    this.#mustBeLinked();
    return this.opens(request);
  }

  async move(move: SessionMove): Promise<SessionMoved> {
    this.#mustBeLinked();
    return this.moves(move);
  }

  async formats(request: FormatTrialRequest): Promise<FormatTrialReport> {
    this.#mustBeLinked();
    return this.tries(request);
  }

  async samples(request: SamplesRequest): Promise<KeptSamples> {
    this.#mustBeLinked();
    return this.keeps(request);
  }

  async sessions(query: SessionQuery): Promise<SessionList> {
    this.#mustBeLinked();
    return this.lists(query);
  }

  async ages({ service }: AgesQuery): Promise<SessionAges> {
    this.#mustBeLinked();
    return this.#ages.get(service) ?? { atMs: 0, groups: [] };
  }

  counts(): ReadonlyMap<string, SessionCount> | null {
    return this.#linked ? new Map(this.#sessions) : null;
  }

  tableInForce(): number | null {
    return this.#linked ? this.#number : null;
  }

  traffic(): Traffic | null {
    return this.#linked ? idleTraffic() : null;
  }

  address(): string | null {
    return this.#linked ? "http://127.0.0.1:8080" : null;
  }

  closing(): boolean {
    return this.#linked && this.#closing;
  }

  async shutdown(): Promise<void> {
    this.#mustBeLinked();
    this.setClosing();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onEvents(listener: EventListener): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  #mustBeLinked(): void {
    if (!this.#linked) throw new HoldoverError("LINK_DOWN");
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

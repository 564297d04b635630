import {
  HoldoverError,
  NO_FORMATS,
  type DataPlane,
  type Instance,
  type LinkCall,
  type RoutingTable,
  type OpenedSession,
  type Platform,
  type Released,
  type SessionCount,
  type SessionEvent,
  type SessionList,
  type SessionMoved,
} from "@holdover/core";
import type { Life, VirtualTime } from "./virtual-time.ts";

/** How soon the host opens a link that has broken, ms. */
const RECONNECT_MS = 100;
/** The host tells of counts this much after a change, ms. */
const COUNTS_EVERY_MS = 50;
/** Events in one message at the most. */
const EVENT_BATCH = 20;
/** A batch that could not be stored is tried again after this, ms. */
const EVENTS_AGAIN_MS = 1000;
/** A call that is not answered for so long breaks the link, ms. */
const CALL_TIMEOUT_MS = 10_000;
/** How long a message is under way at the most, ms; and while the link is slow. */
const UNDER_WAY_MS = 4;
const SLOWLY_UNDER_WAY_MS = 300;
/** While calls or answers get lost or come twice, this share of them does. */
const SHARE_HIT = 0.5;

export type LinkFault = "lose-calls" | "lose-answers" | "double" | "slow" | "break";

/** What control asks: as over a real link, but that nobody signs tables here, or copies what is in memory to a file. */
export type SimulatedCall =
  | Exclude<LinkCall, { readonly name: "apply" | "copy" }>
  | { readonly name: "apply"; readonly table: RoutingTable };

/** What a host tells of itself. */
interface Counts {
  readonly tableNumber: number;
  readonly closing: boolean;
  readonly sessions: ReadonlyMap<string, SessionCount>;
}

/** The host's part. */
export interface HostEnd {
  readonly life: Life;
  readonly instances: () => readonly Instance[] | null;
  readonly counts: () => Counts;
  readonly events: (limit: number) => Promise<SessionEvent[]>;
  readonly forget: (upToSeq: number) => Promise<void>;
  readonly handle: (call: SimulatedCall) => Promise<unknown>;
}

/** What control has of a link: the ports, and whether there is a host behind them. */
export interface ControlEnd {
  readonly dataPlane: DataPlane;
  readonly platform: Platform;
  readonly linked: () => boolean;
}

type EventListener = Parameters<DataPlane["onEvents"]>[0];

/** One connection: each direction is a stream, so nothing overtakes, and what it told is forgotten with it. */
interface Connection {
  readonly calls: Set<(error: HoldoverError) => void>;
  /** On their way to the host: a stream that breaks may still hold them. */
  readonly toHost: Set<() => void>;
  lastToHostMs: number;
  lastToControlMs: number;
  /** The last number of the batch that is under way; null: none is. */
  batch: number | null;
  /** Events may have come since the store was last asked. */
  eventsWanted: boolean;
  instances: readonly Instance[] | null;
  counts: Counts | null;
}

interface ControlSide {
  readonly life: Life;
  readonly listeners: Set<() => void>;
  readonly eventListeners: Set<EventListener>;
}

/**
 * The control link with both its ends, as the processes have it: messages come late, calls and answers get lost or come
 * twice, the whole breaks at any moment. A call is never handled after the link was opened anew: the host reads the old
 * stream to its end first.
 */
export class Link {
  readonly #time: VirtualTime;
  readonly #draw: () => number;
  #host: HostEnd | null = null;
  #control: ControlSide | null = null;
  #connection: Connection | null = null;
  #fault: LinkFault | null = null;
  #faultUntilMs = -1;
  #countsWanted = false;

  constructor(time: VirtualTime, draw: () => number) {
    this.#time = time;
    this.#draw = draw;
  }

  isUp(): boolean {
    return this.#connection?.counts != null;
  }

  hit(fault: LinkFault, forMs: number): void {
    this.#fault = fault;
    this.#faultUntilMs = this.#time.nowMs + forMs;
    if (fault === "break") this.#break();
  }

  /** A host begins to look for control, as long as it lives. */
  openHost(host: HostEnd): void {
    this.#host = host;
    this.#countsWanted = false;
    host.life.atEnd(() => {
      this.#break();
      this.#host = null;
    });
    this.#connect();
  }

  /** A control process waits for the host, as long as it lives. */
  openControl(life: Life): ControlEnd {
    const side: ControlSide = { life, listeners: new Set(), eventListeners: new Set() };
    this.#control = side;
    life.atEnd(() => {
      this.#control = null;
      this.#break();
    });
    const now = (): Connection | null => (this.#control === side ? this.#connection : null);
    const call = (asked: SimulatedCall): Promise<unknown> => this.#call(side, asked);
    const subscribe = (listener: () => void): (() => void) => {
      side.listeners.add(listener);
      return () => side.listeners.delete(listener);
    };
    return {
      linked: () => now() !== null,
      dataPlane: {
        apply: async (table) => {
          await call({ name: "apply", table });
        },
        release: async (instance) => (await call({ name: "release", instance })) as Released,
        open: async (request) => (await call({ name: "open", request })) as OpenedSession,
        move: async (move) => (await call({ name: "move", move })) as SessionMoved,
        // No service keeps anything here: what the call would meet under way, others do.
        formats: async () => NO_FORMATS,
        samples: async () => ({ samples: [], withheld: 0 }),
        sessions: async (query) => (await call({ name: "sessions", query })) as SessionList,
        ages: async (query) => (await call({ name: "ages", query })) as Awaited<ReturnType<DataPlane["ages"]>>,
        counts: () => now()?.counts?.sessions ?? null,
        tableInForce: () => now()?.counts?.tableNumber ?? null,
        traffic: () => null,
        address: () => null,
        closing: () => now()?.counts?.closing ?? false,
        shutdown: async (cut) => {
          await call({ name: "shutdown", now: cut });
        },
        subscribe,
        onEvents: (listener) => {
          side.eventListeners.add(listener);
          return () => side.eventListeners.delete(listener);
        },
      },
      platform: {
        start: async (spec) => {
          await call({ name: "start", spec: { ...spec, command: [...spec.command] } });
        },
        stop: async (instance, graceMs) => {
          await call({ name: "stop", instance, graceMs });
        },
        instances: () => now()?.instances ?? null,
        subscribe,
      },
    };
  }

  instancesChanged(): void {
    const instances = this.#host?.instances();
    if (!instances) return;
    this.#toControl((connection) => {
      connection.instances = instances;
      this.#changed();
    });
  }

  countsChanged(): void {
    if (this.#countsWanted || !this.#host) return;
    this.#countsWanted = true;
    this.#host.life.after(COUNTS_EVERY_MS, () => {
      this.#countsWanted = false;
      this.#sendCounts();
    });
  }

  #connect(): void {
    const host = this.#host;
    if (!host || host.life.over || this.#connection) return;
    if (!this.#control || this.#hits("break")) {
      host.life.after(RECONNECT_MS, () => this.#connect());
      return;
    }
    this.#connection = {
      calls: new Set(),
      toHost: new Set(),
      lastToHostMs: 0,
      lastToControlMs: 0,
      batch: null,
      eventsWanted: false,
      instances: null,
      counts: null,
    };
    this.instancesChanged();
    this.#sendCounts();
  }

  #break(): void {
    const broken = this.#connection;
    if (!broken) return;
    this.#connection = null;
    const arrives = this.#draw() < 0.5;
    for (const arrive of broken.toHost) if (arrives) arrive();
    broken.toHost.clear();
    for (const reject of broken.calls) reject(new HoldoverError("LINK_DOWN"));
    this.#changed();
    this.#host?.life.after(RECONNECT_MS, () => this.#connect());
  }

  #changed(): void {
    for (const listener of this.#control?.listeners ?? []) listener();
  }

  #hits(fault: LinkFault): boolean {
    return this.#fault === fault && this.#time.nowMs < this.#faultUntilMs;
  }

  #delayed(): number {
    return Math.floor(this.#draw() * (this.#hits("slow") ? SLOWLY_UNDER_WAY_MS : UNDER_WAY_MS));
  }

  #toControl(receive: (connection: Connection) => void): void {
    const connection = this.#connection;
    if (!connection) return;
    connection.lastToControlMs = Math.max(connection.lastToControlMs, this.#time.nowMs + this.#delayed());
    this.#time.after(connection.lastToControlMs - this.#time.nowMs, () => {
      if (this.#connection === connection) receive(connection);
    });
  }

  #toHost(connection: Connection, receive: () => void): void {
    connection.lastToHostMs = Math.max(connection.lastToHostMs, this.#time.nowMs + this.#delayed());
    const host = this.#host;
    const arrive = (): void => {
      connection.toHost.delete(arrive);
      if (host && !host.life.over) receive();
    };
    connection.toHost.add(arrive);
    this.#time.after(connection.lastToHostMs - this.#time.nowMs, () => {
      if (connection.toHost.has(arrive)) arrive();
    });
  }

  #call(side: ControlSide, asked: SimulatedCall): Promise<unknown> {
    const connection = this.#connection;
    if (!connection || this.#control !== side) return Promise.reject(new HoldoverError("LINK_DOWN"));
    // As the wire has it: nothing that one end changes later is seen by the other.
    const call = structuredClone(asked);
    const lost = this.#hits("lose-calls") && this.#draw() < SHARE_HIT;
    const answerLost = this.#hits("lose-answers") && this.#draw() < SHARE_HIT;
    const twice = this.#hits("double") && this.#draw() < SHARE_HIT;
    return new Promise((resolve, reject) => {
      let open = true;
      const settle = (then: () => void): void => {
        if (!open) return;
        open = false;
        cancelTimeout();
        connection.calls.delete(fail);
        if (!side.life.over) then();
      };
      const fail = (error: HoldoverError): void => settle(() => reject(error));
      const cancelTimeout = side.life.after(CALL_TIMEOUT_MS, () => this.#break());
      connection.calls.add(fail);
      if (lost) {
        side.life.after(this.#delayed(), () => fail(new HoldoverError("LINK_DOWN")));
        return;
      }
      const answer = (then: () => void): void => this.#toControl(() => settle(then));
      const handle = (): void => {
        void this.#host?.handle(call).then(
          (value) =>
            answer(() => (answerLost ? reject(new HoldoverError("LINK_DOWN")) : resolve(structuredClone(value)))),
          (thrown: unknown) => answer(() => reject(thrown)),
        );
      };
      this.#toHost(connection, handle);
      if (twice) this.#toHost(connection, handle);
    });
  }

  #sendCounts(): void {
    const counts = this.#host?.counts();
    if (!counts) return;
    this.#toControl((connection) => {
      connection.counts = counts;
      this.#changed();
    });
    void this.#sendEvents();
  }

  /** One batch at a time: the next goes out when control has stored this one. */
  async #sendEvents(): Promise<void> {
    const host = this.#host;
    const connection = this.#connection;
    if (!host || !connection) return;
    connection.eventsWanted = true;
    if (connection.batch !== null) return;
    connection.batch = 0;
    let events: readonly SessionEvent[] = [];
    while (connection.eventsWanted && events.length === 0) {
      connection.eventsWanted = false;
      events = await host.events(EVENT_BATCH);
    }
    const last = events.at(-1);
    connection.batch = last?.seq ?? null;
    if (!last || this.#connection !== connection) return;
    const twice = this.#hits("double") && this.#draw() < SHARE_HIT;
    for (let time = twice ? 2 : 1; time > 0; time--) {
      this.#toControl(() => void this.#takeEvents(connection, events));
    }
  }

  async #takeEvents(connection: Connection, events: readonly SessionEvent[]): Promise<void> {
    const side = this.#control;
    const upToSeq = events.at(-1)?.seq;
    if (!side || upToSeq === undefined || this.#connection !== connection) return;
    try {
      if (side.eventListeners.size === 0) throw new HoldoverError("LINK_DOWN");
      for (const listener of side.eventListeners) await listener("host", structuredClone(events));
    } catch {
      side.life.after(EVENTS_AGAIN_MS, () => void this.#takeEvents(connection, events));
      return;
    }
    const host = this.#host;
    if (this.#connection !== connection || !host) return;
    this.#toHost(connection, () => void this.#forget(host, connection, upToSeq));
  }

  async #forget(host: HostEnd, connection: Connection, upToSeq: number): Promise<void> {
    // A batch that came twice is acknowledged twice.
    if (connection.batch !== upToSeq) return;
    connection.batch = 0;
    try {
      await host.forget(upToSeq);
      connection.batch = null;
      await this.#sendEvents();
    } catch {
      // It goes out again a while later, and control passes over what it has.
      connection.batch = null;
      host.life.after(EVENTS_AGAIN_MS, () => {
        if (this.#connection === connection) void this.#sendEvents();
      });
    }
  }
}

import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import {
  asHoldoverError,
  encodeMessage,
  errorFromBody,
  formatDuration,
  HoldoverError,
  LatencyCounts,
  LineReader,
  LINK_PROTOCOL,
  readToControl,
  readKeptSamples,
  readTrialReport,
  TRIAL_MS,
  type Clock,
  type DataPlane,
  type ErrorBody,
  type Instance,
  type LinkAsk,
  type LinkCall,
  type LinkHealth,
  type OpenedSession,
  type Platform,
  type Released,
  type RoutingTable,
  type SessionAges,
  type SessionCount,
  type SessionEvent,
  type SessionMoved,
  type SessionList,
  type SignedText,
  type ToControl,
  type ToHost,
  type Traffic,
} from "@holdover/core";

/** A host answers from memory, so one that takes this long, ms, is stuck: what it told before is not known any more. */
const CALL_TIMEOUT_MS = 10_000;
/** A format trial asks processes of the application, and ends by itself before this. */
const TRIAL_CALL_MS = TRIAL_MS + CALL_TIMEOUT_MS;
/** A copy of a large database is bounded by the disk. */
const COPY_CALL_MS = 600_000;
/** Events that could not be stored are tried again after this, ms. */
const EVENTS_AGAIN_MS = 1000;

type EventListener = (host: string, events: readonly SessionEvent[]) => Promise<void>;

export interface ControlLinkOptions {
  /** Where the host connects; mode 0600, in a directory of mode 0700. */
  readonly socketPath: string;
  readonly clock: Clock;
  /** Signs what hosts and workers are to follow. */
  readonly sign: (table: RoutingTable) => SignedText;
  /** Answers what a host asks. What it throws goes back as the answer. */
  readonly answer: (ask: LinkAsk) => Promise<unknown>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** What control sees of a host: its router and its local platform, both over one link. */
export interface ControlLink {
  readonly dataPlane: DataPlane;
  readonly platform: Platform;
  readonly linked: () => boolean;
  readonly health: () => LinkHealth;
  /** Has the host copy its database to a file. @throws HoldoverError BACKUP_FAILED, LINK_DOWN */
  copyStore(file: string): Promise<void>;
  close(): Promise<void>;
}

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HoldoverError) => void;
  readonly cancelTimeout: () => void;
}

/** All that a host has told on one connection. It is forgotten with the connection: what is old is not known. */
interface Host {
  readonly socket: Socket;
  readonly calls: Map<number, Call>;
  name: string | null;
  /** When it last said anything. */
  heardAtMs: number;
  address: string | null;
  instances: readonly Instance[] | null;
  counts: Extract<ToControl, { type: "counts" }> | null;
  /** The batch that came and is not stored yet: the host sends none before it hears of this one. */
  events: readonly SessionEvent[] | null;
  bySession: ReadonlyMap<string, SessionCount> | null;
}

/**
 * Control's end of the control link: waits for the host, asks it, and keeps what it tells. One host at a time; one that
 * connects anew takes the place of the one before.
 */
export async function openControlLink(options: ControlLinkOptions): Promise<ControlLink> {
  const { clock, log } = options;
  const listeners = new Set<() => void>();
  const eventListeners = new Set<EventListener>();
  let host: Host | null = null;
  let lastId = 0;
  const applying = new LatencyCounts();

  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  const send = (to: Host, message: ToHost): void => {
    if (to.socket.writable) to.socket.write(encodeMessage(message));
  };

  const call = (asked: LinkCall, withinMs: number = CALL_TIMEOUT_MS): Promise<unknown> => {
    const to = host;
    if (!to?.name) return Promise.reject(new HoldoverError("LINK_DOWN"));
    lastId += 1;
    const id = lastId;
    return new Promise((resolve, reject) => {
      const cancelTimeout = clock.after(withinMs, () => {
        log("link.stuck", { call: asked.name, after: formatDuration(withinMs) });
        // All that waits fails with it, and at once: one after another they would hold up control for minutes.
        to.socket.destroy();
      });
      to.calls.set(id, { resolve, reject, cancelTimeout });
      send(to, { type: "call", id, call: asked });
    });
  };

  /** Says that events are stored only when they are: without a listener they wait, after a failure they are tried again. */
  const takeEvents = async (from: Host): Promise<void> => {
    const { events, name } = from;
    const upToSeq = events?.at(-1)?.seq;
    if (!events || upToSeq === undefined || name === null || host !== from || eventListeners.size === 0) return;
    try {
      for (const listener of eventListeners) await listener(name, events);
    } catch (thrown) {
      log("link.events.failed", { count: events.length, problem: asHoldoverError(thrown).message });
      clock.after(EVENTS_AGAIN_MS, () => void takeEvents(from));
      return;
    }
    from.events = null;
    send(from, { type: "events-stored", upToSeq });
  };

  const answer = async (from: Host, id: number, ask: LinkAsk): Promise<void> => {
    try {
      send(from, { type: "answer", id, value: await options.answer(ask) });
    } catch (thrown) {
      send(from, { type: "answer", id, error: asHoldoverError(thrown).body() });
    }
  };

  const receive = async (from: Host, message: ToControl): Promise<void> => {
    switch (message.type) {
      case "hello":
        if (message.protocol !== LINK_PROTOCOL) {
          throw new HoldoverError("LINK_MESSAGE_INVALID", {
            problem: `protocol ${message.protocol}, not ${LINK_PROTOCOL}`,
          });
        }
        if (host && host !== from) host.socket.destroy();
        host = from;
        from.name = message.host;
        from.address = message.address;
        send(from, { type: "welcome", protocol: LINK_PROTOCOL });
        log("link.up", { host: message.host });
        return changed();
      case "instances":
        from.instances = message.instances;
        return changed();
      case "counts":
        from.counts = message;
        from.bySession = new Map(Object.entries(message.sessions));
        return changed();
      case "events":
        from.events = message.events;
        return takeEvents(from);
      case "ask":
        return answer(from, message.id, message.ask);
      case "reply": {
        const waiting = from.calls.get(message.id);
        if (!waiting) return;
        from.calls.delete(message.id);
        waiting.cancelTimeout();
        if (message.error) waiting.reject(errorFromBody(message.error as ErrorBody));
        else waiting.resolve(message.value);
        return;
      }
    }
  };

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const from: Host = {
      socket,
      calls: new Map(),
      name: null,
      heardAtMs: clock.now(),
      address: null,
      instances: null,
      counts: null,
      events: null,
      bySession: null,
    };
    const reader = new LineReader();
    const fail = (thrown: unknown): void => {
      log("link.failed", { problem: asHoldoverError(thrown).message });
      socket.destroy();
    };
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      try {
        for (const line of reader.feed(chunk)) {
          const message = readToControl(line);
          from.heardAtMs = clock.now();
          receive(from, message).catch(fail);
        }
      } catch (thrown) {
        fail(thrown);
      }
    });
    // What broke the link is of no use to anybody: `close` follows, and the host connects again.
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      for (const waiting of from.calls.values()) {
        waiting.cancelTimeout();
        waiting.reject(new HoldoverError("LINK_DOWN"));
      }
      if (host !== from) return;
      host = null;
      log("link.down", {});
      changed();
    });
  });
  await listen(server, options.socketPath);

  const subscribe = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  const dataPlane: DataPlane = {
    apply: async (table) => {
      const begunAtMs = performance.now();
      await call({ name: "apply", table: options.sign(table) });
      applying.add(performance.now() - begunAtMs);
    },
    release: async (instance) => (await call({ name: "release", instance })) as Released,
    open: async (request) => (await call({ name: "open", request })) as OpenedSession,
    move: async (move) => (await call({ name: "move", move })) as SessionMoved,
    formats: async (request) => readTrialReport(await call({ name: "formats", request }, TRIAL_CALL_MS)),
    samples: async (request) => readKeptSamples(await call({ name: "samples", request }, TRIAL_CALL_MS)),
    sessions: async (query) => (await call({ name: "sessions", query })) as SessionList,
    ages: async (query) => (await call({ name: "ages", query })) as SessionAges,
    counts: () => host?.bySession ?? null,
    tableInForce: () => host?.counts?.tableNumber ?? null,
    traffic: (): Traffic | null => host?.counts?.traffic ?? null,
    address: () => host?.address ?? null,
    closing: () => host?.counts?.closing ?? false,
    shutdown: async (now) => {
      await call({ name: "shutdown", now });
    },
    subscribe,
    onEvents: (listener) => {
      eventListeners.add(listener);
      if (host) void takeEvents(host);
      return () => eventListeners.delete(listener);
    },
  };

  const platform: Platform = {
    start: async (spec) => {
      await call({ name: "start", spec: { ...spec, command: [...spec.command] } });
    },
    stop: async (instance, graceMs) => {
      await call({ name: "stop", instance, graceMs });
    },
    instances: () => host?.instances ?? null,
    subscribe,
  };

  return {
    dataPlane,
    platform,
    linked: () => host?.name != null,
    health: () => ({
      silentMs: host ? Math.max(0, clock.now() - host.heardAtMs) : null,
      host: host?.counts?.health ?? null,
      applying: applying.read(),
    }),
    copyStore: async (file) => {
      await call({ name: "copy", file }, COPY_CALL_MS);
    },
    close: async () => {
      // Those that never said who they are, too: the server waits for the last of them.
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Only one control runs on a state directory (its database is locked), so a socket file found here is a dead one's. */
async function listen(server: Server, socketPath: string): Promise<void> {
  await rm(socketPath, { force: true });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
  } catch (cause) {
    throw new HoldoverError(
      "LISTEN_FAILED",
      { address: socketPath, problem: asHoldoverError(cause).message, setting: "state" },
      { cause },
    );
  } finally {
    process.umask(before);
  }
}

import { createConnection, type Socket } from "node:net";
import {
  asHoldoverError,
  encodeMessage,
  errorFromBody,
  HoldoverError,
  LineReader,
  LINK_PROTOCOL,
  readToHost,
  type Clock,
  type ErrorBody,
  type Instance,
  type LinkAsk,
  type LinkCall,
  type PinStore,
  type ToControl,
  type ToHost,
} from "@holdover/core";

/** How soon a broken link is opened again, ms. Control is restarted within about a second, so this needs no back-off. */
const RECONNECT_MS = 100;
/** Counts are told this much after a change, ms, so that a busy router does not tell of every request. */
const COUNTS_EVERY_MS = 50;
/** Counts are told this often all the same, ms: a host that says nothing is stuck. */
const COUNTS_AT_LEAST_MS = 5000;
/** Events that the store could not read, or forget, are sent again after this, ms. */
const EVENTS_AGAIN_MS = 1000;
/** Events sent in one message at the most. */
const EVENT_BATCH = 500;
/** How long control may take to answer, ms: it is started again within about a second. */
const ASK_MS = 10_000;
/** Questions that may wait at once. */
const MAX_ASKS = 1000;

interface Asked {
  readonly ask: LinkAsk;
  readonly settle: (answer: { readonly value: unknown } | { readonly error: HoldoverError }) => void;
}

/** What the link does not know by itself. */
type Counts = Omit<Extract<ToControl, { type: "counts" }>, "type">;

export interface HostLinkOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  /** The host's name: the same for as long as its store lives, since it numbers the events. */
  readonly host: string;
  /** Where clients connect, for people. */
  readonly address: string;
  readonly pins: Pick<PinStore, "events" | "forgetEvents">;
  readonly instances: () => readonly Instance[] | null;
  /** @param links how often the link was made */
  readonly counts: (links: number) => Counts;
  /** Does what control asks. What it throws goes back as the answer. */
  readonly handle: (call: LinkCall) => Promise<unknown>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

export interface HostLink {
  instancesChanged(): void;
  countsChanged(): void;
  /**
   * Asks control. While it is away the question waits for it, up to 10 s.
   * @throws HoldoverError LINK_DOWN, and what control answers
   */
  ask(ask: LinkAsk): Promise<unknown>;
  /** Tells control what the audit log has to know, as soon as it is there; of a thousand that wait, the oldest is given up. */
  tell(ask: LinkAsk): void;
  /** Whether every event that is stored here has arrived. */
  drained(): Promise<boolean>;
  close(): void;
}

/**
 * The host's end of the control link: opens it, and again whenever it breaks. Nothing waits for it: while control is
 * away, sessions are served by the last table and what happens to them is kept in the store.
 */
export function openHostLink(options: HostLinkOptions): HostLink {
  const { clock, pins, log } = options;
  let socket: Socket | null = null;
  let closed = false;
  let cancelReconnect: () => void = () => {};
  let cancelCounts: (() => void) | null = null;
  let cancelHeartbeat: () => void = () => {};
  let links = 0;
  let cancelEvents: () => void = () => {};
  /** Gives up a connection that is not made yet. */
  let abandon: () => void = () => {};
  let eventsUnderWay = false;
  /** They may have come since the store was last asked. */
  let eventsWanted = false;
  let lastAsk = 0;
  const asks = new Map<number, Asked>();

  const send = (message: ToControl): void => {
    if (socket?.writable) socket.write(encodeMessage(message));
  };

  const sendInstances = (): void => {
    const instances = options.instances();
    if (instances) send({ type: "instances", instances: [...instances] });
  };

  const sendCounts = (): void => {
    if (closed) return;
    cancelCounts?.();
    cancelCounts = null;
    cancelHeartbeat();
    cancelHeartbeat = clock.after(COUNTS_AT_LEAST_MS, sendCounts);
    // Control reads nothing now: what it has not taken is not piled up for it, and the latest is all it wants.
    if (socket?.writableNeedDrain) return countsChanged();
    if (!socket?.writable) return;
    send({ type: "counts", ...options.counts(links) });
    void sendEvents();
  };

  const countsChanged = (): void => {
    cancelCounts ??= clock.after(COUNTS_EVERY_MS, sendCounts);
  };

  /** One batch at a time: the next goes out when control has stored this one. */
  const sendEvents = async (): Promise<void> => {
    eventsWanted = true;
    if (eventsUnderWay || !socket) return;
    eventsUnderWay = true;
    try {
      // What is stored while the store is being asked may be missing in its answer.
      while (eventsWanted) {
        eventsWanted = false;
        const events = await pins.events(EVENT_BATCH);
        if (events.length > 0 && socket) return send({ type: "events", events });
      }
      eventsUnderWay = false;
    } catch (thrown) {
      eventsUnderWay = false;
      log("link.events.unreadable", { problem: asHoldoverError(thrown).message });
      cancelEvents = clock.after(EVENTS_AGAIN_MS, () => void sendEvents());
    }
  };

  /** What cannot be forgotten now goes out again a while later, and control passes over what it has. */
  const forget = async (upToSeq: number): Promise<void> => {
    try {
      await pins.forgetEvents(upToSeq);
      eventsUnderWay = false;
      await sendEvents();
    } catch (thrown) {
      eventsUnderWay = false;
      log("link.events.kept", { problem: asHoldoverError(thrown).message });
      cancelEvents = clock.after(EVENTS_AGAIN_MS, () => void sendEvents());
    }
  };

  const answer = async (id: number, call: LinkCall): Promise<void> => {
    try {
      send({ type: "reply", id, value: await options.handle(call) });
    } catch (thrown) {
      send({ type: "reply", id, error: asHoldoverError(thrown).body() });
    }
  };

  const sendAsk = (id: number, { ask }: Asked): void => send({ type: "ask", id, ask });

  const put = (asked: Asked): number => {
    lastAsk += 1;
    asks.set(lastAsk, asked);
    sendAsk(lastAsk, asked);
    return lastAsk;
  };

  const ask = (asked: LinkAsk): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed || asks.size >= MAX_ASKS) return reject(new HoldoverError("LINK_DOWN"));
      const id = put({
        ask: asked,
        settle: (answer) => {
          cancelTimeout();
          if ("error" in answer) reject(answer.error);
          else resolve(answer.value);
        },
      });
      const cancelTimeout = clock.after(ASK_MS, () => {
        asks.delete(id);
        reject(new HoldoverError("LINK_DOWN"));
      });
    });

  const tell = (told: LinkAsk): void => {
    if (asks.size >= MAX_ASKS) {
      const oldest = asks.keys().next().value ?? 0;
      log("link.tell.given-up", { told: asks.get(oldest)?.ask.name });
      asks.get(oldest)?.settle({ error: new HoldoverError("LINK_DOWN") });
      asks.delete(oldest);
    }
    put({
      ask: told,
      settle: (answer) => {
        if ("error" in answer) log("link.tell.failed", { told: told.name, problem: answer.error.message });
      },
    });
  };

  const receive = async (message: ToHost): Promise<void> => {
    switch (message.type) {
      case "welcome":
        if (message.protocol !== LINK_PROTOCOL) {
          throw new HoldoverError("LINK_MESSAGE_INVALID", {
            problem: `protocol ${message.protocol}, not ${LINK_PROTOCOL}`,
          });
        }
        return;
      case "events-stored":
        return forget(message.upToSeq);
      case "call":
        return answer(message.id, message.call);
      case "answer": {
        const asked = asks.get(message.id);
        asks.delete(message.id);
        const { value, error } = message;
        asked?.settle(error ? { error: errorFromBody(error as ErrorBody) } : { value });
        return;
      }
    }
  };

  const open = (): void => {
    const reader = new LineReader();
    const opened = createConnection(options.socketPath);
    abandon = () => void opened.destroy();
    opened.setEncoding("utf8");
    opened.once("connect", () => {
      abandon = () => {};
      socket = opened;
      eventsUnderWay = false;
      links += 1;
      log("link.up", {});
      send({ type: "hello", protocol: LINK_PROTOCOL, host: options.host, address: options.address });
      sendInstances();
      sendCounts();
      // What was asked before it went may not have been heard; asked twice it has the same answer.
      for (const [id, asked] of asks) sendAsk(id, asked);
    });
    const fail = (thrown: unknown): void => {
      log("link.failed", { problem: asHoldoverError(thrown).message });
      opened.destroy();
    };
    opened.on("data", (chunk: string) => {
      try {
        for (const line of reader.feed(chunk)) receive(readToHost(line)).catch(fail);
      } catch (thrown) {
        fail(thrown);
      }
    });
    // A refused or broken link is the ordinary case while control restarts: `close` follows and opens it again.
    opened.on("error", () => {});
    opened.once("close", () => {
      if (socket === opened) {
        socket = null;
        log("link.down", {});
      }
      if (!closed) cancelReconnect = clock.after(RECONNECT_MS, open);
    });
  };

  open();
  return {
    instancesChanged: sendInstances,
    countsChanged,
    ask,
    tell,
    drained: async () => (await pins.events(1)).length === 0,
    close: () => {
      closed = true;
      cancelReconnect();
      cancelCounts?.();
      cancelHeartbeat();
      cancelEvents();
      for (const asked of asks.values()) asked.settle({ error: new HoldoverError("LINK_DOWN") });
      asks.clear();
      socket?.end();
      abandon();
    },
  };
}

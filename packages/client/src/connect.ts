import { adviceIn, waitMs } from "./backoff.ts";
import type { Clock, ConnectOptions, NetworkEvents, WebSocketLike } from "./connect-options.ts";
import type { Connection, Events, State } from "./connection.ts";
import { ConnectionError, numbered } from "./numbered.ts";
import { sessionUrl } from "./session-url.ts";

/** A connection that lasted so long, ms, was a good one: the next wait begins at its shortest again. */
const GOOD_MS = 1000;
/** What was received is acknowledged so long after it, ms, unless a message of ours carries it before. */
const ACK_MS = 50;
/** No connection is tried again after these: the other end is done with us, or would refuse the same again (RFC 6455, 7.4.1). */
const FINAL = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010]);
const LONGEST_MS = 2 ** 31 - 1;

/**
 * A WebSocket that comes back.
 * @param url ws:, wss:, http: or https:; in a browser relative to the page
 * @throws TypeError for a URL that is none; RangeError for an option that is out of its range
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Connection {
  const {
    baseMs = 1000,
    capMs = 30_000,
    answerMs = 30_000,
    maxUnacknowledged = 1000,
    maxUnacknowledgedBytes = 1_048_576,
    maxMessageBytes = 262_144,
    random = Math.random,
    clock = systemClock,
    stopOn = () => false,
  } = options;
  const amounts = { baseMs, capMs, answerMs, maxUnacknowledged, maxUnacknowledgedBytes, maxMessageBytes };
  for (const [name, value] of Object.entries(amounts)) {
    if (!(value >= 1 && value <= LONGEST_MS)) throw new RangeError(`${name} must be from 1 to ${LONGEST_MS}`);
  }
  const scope = globalThis as unknown as Partial<NetworkEvents> & { WebSocket?: new (url: string) => WebSocketLike };
  const { WebSocket } = scope;
  const webSocket = options.webSocket ?? (WebSocket && ((url: string) => new WebSocket(url)));
  if (!webSocket) throw new TypeError("There is no WebSocket here; pass options.webSocket.");
  const network = options.network ?? (scope.addEventListener ? (scope as NetworkEvents) : null);
  const { target, key } = sessionUrl(url, options.session);

  const channel = options.numbered === false ? null : numbered(amounts);
  const listeners: { [Kind in keyof Events]?: ((event: Events[Kind]) => void)[] } = {};
  let state: State = "connecting";
  let socket: WebSocketLike | null = null;
  let attempt = 0;
  let openedAtMs = 0;
  let attemptAtMs = 0;
  const nothing = () => {};
  let callOffAttempt = nothing;
  let callOffAnswer = nothing;
  let callOffAck: (() => void) | null = null;

  const emit = <Kind extends keyof Events>(kind: Kind, event: Events[Kind]) => {
    for (const listener of listeners[kind]?.slice() ?? []) {
      try {
        listener(event);
      } catch (thrown) {
        // What the app throws is the app's to see, and must not stop the connection halfway.
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  };
  const enter = (next: State) => {
    state = next;
    emit("state", next);
  };
  const unacknowledged = () => channel?.unacknowledged() ?? [];

  /** Lets go of the socket: nothing of it is heard any more. */
  const letGo = () => {
    const gone = socket;
    socket = null;
    callOffAttempt();
    callOffAnswer();
    callOffAck?.();
    callOffAck = null;
    return gone;
  };
  const finish = (code: number, reason: string) => {
    const left = unacknowledged();
    network?.removeEventListener("online", hurry);
    enter("closed");
    emit("close", { code, reason, unacknowledged: left });
  };
  const lost = (code: number, reason: string) => {
    letGo();
    if (FINAL.has(code) || stopOn(code, reason)) {
      finish(code, reason);
      return;
    }
    if (state === "open" && clock.now() - openedAtMs >= GOOD_MS) attempt = 0;
    const delay = waitMs(attempt, adviceIn(reason), { baseMs, capMs }, random);
    attempt += 1;
    attemptAtMs = clock.now() + delay;
    callOffAttempt = clock.after(delay, begin);
    enter("waiting");
    if (state === "waiting" && code === 1012 && reason.startsWith("session moved")) emit("moved", { reason });
  };
  /** Not a good-bye: without a code the other end keeps the channel, for we come back. */
  const drop = (why: string) => {
    letGo()?.close();
    lost(1006, why);
  };
  const refuse = (code: number, reason: string) => {
    letGo()?.close(code, reason);
    finish(code, reason);
  };
  const awaitAnswer = () => {
    callOffAnswer();
    callOffAnswer = clock.after(answerMs, () => drop("no answer"));
  };
  const isOpen = (resumed: boolean) => {
    openedAtMs = clock.now();
    enter("open");
    if (state === "open") emit("open", { resumed });
  };
  const acknowledge = () => {
    const due = channel?.owes();
    if (due === "now") socket?.send(channel?.acknowledgement() ?? "");
    if (due !== "soon" || callOffAck) return;
    callOffAck = clock.after(ACK_MS, () => {
      callOffAck = null;
      if (channel && channel.owes() !== "nothing") socket?.send(channel.acknowledgement());
    });
  };

  const hear = (mine: WebSocketLike, data: unknown) => {
    if (typeof data !== "string") return refuse(4003, "text alone is understood");
    if (!channel) return emit("message", data);
    const before = channel.acknowledged();
    const heard = channel.hear(data);
    const after = channel.acknowledged();
    if (heard.kind === "refused") return refuse(heard.code, heard.reason);
    if (heard.kind === "reset") {
      emit("reset", { unacknowledged: heard.unacknowledged });
      if (socket === mine) mine.send(channel.hello());
      return;
    }
    if (heard.kind === "welcome") {
      callOffAnswer();
      for (const frame of heard.again) mine.send(frame);
      if (heard.again.length > 0) awaitAnswer();
    } else if (after > before) {
      callOffAnswer();
      if (!channel.idle()) awaitAnswer();
    }
    if (heard.kind === "welcome") isOpen(heard.resumed);
    if (after > before && state !== "closed") emit("acknowledged", after);
    // A message that was counted as received is delivered, unless the app itself has closed meanwhile.
    if (heard.kind === "message" && state !== "closed") emit("message", heard.text);
    if (socket === mine) acknowledge();
  };

  function begin(): void {
    callOffAttempt();
    enter("connecting");
    if (state !== "connecting" || !webSocket) return;
    let mine: WebSocketLike;
    try {
      mine = webSocket(target);
    } catch (thrown) {
      lost(1006, String(thrown));
      return;
    }
    socket = mine;
    const listen: WebSocketLike["addEventListener"] = (kind, listener) => {
      mine.addEventListener(kind, (event) => {
        if (socket === mine) listener(event);
      });
    };
    listen("open", () => {
      if (channel) return mine.send(channel.hello());
      callOffAnswer();
      isOpen(false);
    });
    listen("message", (event) => hear(mine, (event as { readonly data: unknown }).data));
    listen("close", (event) => {
      const { code, reason } = event as { readonly code: number; readonly reason: string };
      lost(code, reason);
    });
    // A close follows, and tells as much as there is to know; ws throws where nobody listens.
    listen("error", nothing);
    awaitAnswer();
  }
  /** The network is there again: no reason to wait any longer. */
  function hurry(): void {
    if (state !== "waiting") return;
    callOffAttempt();
    // Still spread: a whole office comes online in one instant.
    callOffAttempt = clock.after(Math.min(attemptAtMs - clock.now(), random() * baseMs), begin);
  }

  network?.addEventListener("online", hurry);
  begin();
  return {
    get state() {
      return state;
    },
    session: key,
    get unacknowledged() {
      return unacknowledged();
    },
    send(text) {
      if (state === "closed") throw new ConnectionError("CLOSED", "The connection is closed.");
      if (!channel) {
        if (state !== "open") throw new ConnectionError("NOT_OPEN", "There is no connection now.");
        socket?.send(text);
        return 0;
      }
      const idle = channel.idle();
      const { number, frame } = channel.take(text);
      if (state === "open" && socket) {
        socket.send(frame);
        if (idle) awaitAnswer();
      }
      return number;
    },
    close(code = 1000, reason = "") {
      if (code !== 1000 && !(code >= 3000 && code <= 4999)) throw new RangeError("code must be 1000, or 3000 to 4999");
      if (new TextEncoder().encode(reason).length > 123) throw new RangeError("reason is over 123 bytes");
      if (state === "closed") return;
      letGo()?.close(code, reason);
      finish(code, reason);
    },
    on(kind, listener) {
      const all: ((event: Events[typeof kind]) => void)[] = (listeners[kind] ??= []);
      all.push(listener);
      return () => {
        const at = all.indexOf(listener);
        if (at !== -1) all.splice(at, 1);
      };
    },
  };
}

const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

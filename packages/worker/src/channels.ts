import type { Channel, ChannelEnd, ChannelListener, ChannelSocket } from "./channel.ts";
import { CHANNEL_VERSION, clientFrameOf, textIn, type ClientFrame } from "./channel-frames.ts";
import {
  ChannelError,
  ChannelState,
  checkedSnapshot,
  type ChannelBounds,
  type ChannelSnapshot,
} from "./channel-state.ts";

/** Received messages are acknowledged at once after so many messages or characters; else `ACK_MS` later, all together. */
const ACK_MESSAGES = 32;
const ACK_CHARS = 65_536;
const ACK_MS = 50;
const LONGEST_MS = 2 ** 31 - 1;

export interface ChannelsOptions extends Partial<ChannelBounds> {
  /** Called once for every new or restored channel, before anything of it is heard. */
  readonly open: (channel: Channel) => ChannelListener;
  /** How long a channel without a connection is kept, ms; 60,000 unless set. Take the linger of the service. */
  readonly lingerMs?: number;
  /** A connection must say hello within so long, ms; 10,000 unless set. */
  readonly helloMs?: number;
  /** Channels that are held at once; 10,000 unless set. For one more the one that has lingered longest is ended. */
  readonly maxChannels?: number;
  /** Runs it after so many ms; returns how to call it off. Node's timers unless set. */
  readonly after?: (ms: number, run: () => void) => () => void;
}

/** The channels of one process. */
export interface Channels {
  /** Takes over a socket that is open. The key of its session, and nothing that the client says, decides what it can reach. */
  accept(socket: ChannelSocket, session: string): void;
  readonly size: number;
  /** The channels of a session as they are now, to be kept with the state that their messages led to. */
  snapshot(session: string): readonly ChannelSnapshot[];
  /**
   * Takes the channels of a session over from another instance. They linger until their clients come.
   * @param snapshots from {@link snapshot}
   * @throws ChannelError SNAPSHOT_INVALID; then nothing was restored
   */
  restore(session: string, snapshots: unknown): void;
  /** Ends all of them as the application's own choice, with Close 1001. */
  end(): void;
}

interface Held {
  readonly key: string;
  readonly state: ChannelState;
  readonly channel: Channel;
  readonly listener: ChannelListener;
  socket: ChannelSocket | null;
  /** Of the hello that came last. */
  turn: number;
  ended: boolean;
  owedMessages: number;
  owedChars: number;
  callOffAck: (() => void) | null;
  callOffLinger: () => void;
}

/**
 * The channels of this process: numbered messages with clients that use `connect` of @holdover/client.
 * @throws RangeError for a bound or duration that is out of its range
 */
export function openChannels(options: ChannelsOptions): Channels {
  const {
    open,
    lingerMs = 60_000,
    helloMs = 10_000,
    maxChannels = 10_000,
    maxUnacknowledged = 1000,
    maxUnacknowledgedBytes = 1_048_576,
    maxMessageBytes = 262_144,
    after = nodeTimer,
  } = options;
  const amounts = { lingerMs, helloMs, maxChannels, maxUnacknowledged, maxUnacknowledgedBytes, maxMessageBytes };
  for (const [name, value] of Object.entries(amounts)) {
    if (!(value >= 1 && value <= LONGEST_MS)) throw new RangeError(`${name} must be from 1 to ${LONGEST_MS}`);
  }
  /** By session and id. */
  const all = new Map<string, Held>();
  /** Those without a connection, the one that has lingered longest first. */
  const lingering = new Set<Held>();
  const nothing = (): void => {};

  const linger = (held: Held) => {
    lingering.add(held);
    held.callOffLinger = after(lingerMs, () => over(held, "expired"));
  };
  /** Takes the socket from a channel; nothing that still comes from it is heard. */
  const detach = (held: Held) => {
    const { socket } = held;
    held.socket = null;
    held.owedMessages = 0;
    held.owedChars = 0;
    held.callOffAck?.();
    held.callOffAck = null;
    return socket;
  };
  const over = (held: Held, how: ChannelEnd) => {
    if (held.ended) return;
    held.ended = true;
    held.callOffLinger();
    detach(held);
    lingering.delete(held);
    all.delete(held.key);
    held.listener.end?.(how, [...held.state.unacknowledged]);
  };
  const send = (held: Held, number: number, text: string) => {
    if (!held.socket) return;
    held.owedMessages = 0;
    held.owedChars = 0;
    held.socket.send(JSON.stringify([number, held.state.received, text]));
  };
  const acknowledge = (held: Held) => {
    if (held.owedMessages === 0) return;
    held.owedMessages = 0;
    held.owedChars = 0;
    held.socket?.send(JSON.stringify([0, held.state.received]));
  };

  /** Room for so many more. @returns false where every channel has a connection */
  const makeRoom = (count: number): boolean => {
    if (all.size - lingering.size + count > maxChannels) return false;
    for (const longest of lingering) {
      if (all.size + count <= maxChannels) break;
      over(longest, "expired");
    }
    return true;
  };
  const begin = (session: string, state: ChannelState, afterReset: boolean): Held => {
    let held: Held;
    const channel: Channel = {
      session,
      afterReset,
      get connected() {
        return held.socket !== null;
      },
      send(text) {
        if (held.ended) throw new ChannelError("ENDED", "This channel is over.");
        send(held, state.take(text, amounts), text);
      },
      end(code = 1000, reason = "") {
        const { socket } = held;
        over(held, "ended");
        socket?.close(code, reason);
      },
    };
    held = {
      key: keyOf(session, state.id),
      state,
      channel,
      socket: null,
      turn: 0,
      ended: false,
      owedMessages: 0,
      owedChars: 0,
      callOffAck: null,
      callOffLinger: nothing,
      // The application may send or end it before it returns its listener.
      listener: { message: nothing },
    };
    all.set(held.key, held);
    try {
      held = Object.assign(held, { listener: open(channel) });
    } catch (thrown) {
      over(held, "ended");
      throw thrown;
    }
    return held;
  };

  const attach = (held: Held, socket: ChannelSocket) => {
    held.callOffLinger();
    lingering.delete(held);
    // Its client has given the older connection up; whatever still comes from it comes again on this one.
    detach(held)?.close(1008, "another connection took its place");
    held.socket = socket;
    socket.send(JSON.stringify(["welcome", held.state.received]));
    for (const [number, text] of held.state.numbered()) send(held, number, text);
  };

  const hear = (held: Held, frame: ClientFrame & { readonly kind: "data" }): string | null => {
    const { state } = held;
    if (frame.number > state.received + 1) return "out of order";
    if (!state.acknowledge(frame.acknowledged)) return "acknowledges what was not sent";
    if (frame.number === 0) return null;
    held.owedMessages += 1;
    held.owedChars += frame.text.length;
    if (frame.number > state.received) {
      state.received = frame.number;
      held.listener.message(frame.text);
    }
    if (held.owedMessages >= ACK_MESSAGES || held.owedChars >= ACK_CHARS) acknowledge(held);
    else if (held.socket && !held.callOffAck) {
      held.callOffAck = after(ACK_MS, () => {
        held.callOffAck = null;
        acknowledge(held);
      });
    }
    return null;
  };

  const accept = (socket: ChannelSocket, session: string): void => {
    let held: Held | null = null;
    let wasReset = false;
    let refused = false;
    const refuse = (code: number, reason: string) => {
      refused = true;
      callOffHello();
      if (held?.socket === socket) {
        detach(held);
        linger(held);
        held.listener.away?.();
      }
      socket.close(code, reason);
    };
    const callOffHello = after(helloMs, () => refuse(1013, "no hello in time; retry=1000"));

    const hello = (frame: ClientFrame & { readonly kind: "hello" }) => {
      if (frame.version !== CHANNEL_VERSION) {
        return refuse(1002, `version ${CHANNEL_VERSION} is spoken here, not ${frame.version}`);
      }
      const known = all.get(keyOf(session, frame.id));
      if (frame.has === null && known) return refuse(1002, "a new channel has a new id");
      // It was held up on its way, and its client has given that connection up.
      if (known && frame.turn <= known.turn) return refuse(1008, "a newer connection was here before");
      if (frame.has && !known?.state.continues(frame.has)) {
        // It is not passed off as the same: the client begins another one, on this connection.
        if (wasReset) return refuse(1002, "said to be unknown before");
        wasReset = true;
        socket.send(JSON.stringify(["unknown"]));
        return;
      }
      callOffHello();
      if (known && frame.has) {
        held = known;
        known.turn = frame.turn;
        known.state.acknowledge(frame.has.received);
        attach(known, socket);
        known.listener.back?.();
        return;
      }
      if (!makeRoom(1)) return refuse(1013, "too many channels; retry=10000");
      try {
        held = begin(session, new ChannelState(frame.id), wasReset);
      } catch (thrown) {
        refuse(1011, "the application could not take it");
        throw thrown;
      }
      held.turn = frame.turn;
      if (held.ended) socket.close(1000, "");
      else attach(held, socket);
    };

    socket.on("error", nothing);
    socket.on("close", (code) => {
      callOffHello();
      if (held?.socket !== socket) return;
      // A client that goes for good says so by its code; without one it was cut off.
      if (code === 1000 || code === 1001 || (code >= 3000 && code <= 4999)) over(held, "closed");
      else {
        detach(held);
        linger(held);
        held.listener.away?.();
      }
    });
    socket.on("message", (data, isBinary) => {
      if (refused || (held && held.socket !== socket)) return;
      const text = isBinary ? null : textIn(data);
      if (text === null) return refuse(1003, "text alone is understood");
      // Six characters of JSON make one byte at the most: \u0000.
      if (text.length > maxMessageBytes * 6 + 128) return refuse(1009, "frame too large");
      const frame = clientFrameOf(text);
      if (!frame || (frame.kind === "hello") !== (held === null))
        return refuse(1002, "not a frame, or not one for now");
      if (frame.kind === "hello") return hello(frame);
      if (Buffer.byteLength(frame.text) > maxMessageBytes) return refuse(1009, "message too large");
      const problem = held && hear(held, frame);
      if (problem) refuse(1002, problem);
    });
  };

  return {
    accept,
    get size() {
      return all.size;
    },
    snapshot: (session) =>
      [...all.values()].filter(({ channel }) => channel.session === session).map(({ state }) => state.snapshot()),
    restore(session, snapshots) {
      if (!Array.isArray(snapshots)) throw new ChannelError("SNAPSHOT_INVALID", "These are no snapshots of channels.");
      const checked = snapshots.map(checkedSnapshot);
      const ids = new Set(checked.map(({ id }) => id));
      if (ids.size < checked.length || checked.some(({ id }) => all.has(keyOf(session, id)))) {
        throw new ChannelError("SNAPSHOT_INVALID", "A channel in the snapshot is here already.");
      }
      if (!makeRoom(checked.length)) throw new ChannelError("FULL", `There are ${maxChannels} channels here already.`);
      for (const snapshot of checked) {
        const held = begin(session, new ChannelState(snapshot.id, snapshot), false);
        if (!held.ended) linger(held);
      }
    },
    end() {
      for (const held of all.values()) held.channel.end(1001, "the application ends");
    },
  };
}

/** An id has no line break, so no two pairs make one key. */
function keyOf(session: string, id: string): string {
  return `${id}\n${session}`;
}

function nodeTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  // What lingers is no reason for a process to go on.
  timer.unref();
  return () => clearTimeout(timer);
}

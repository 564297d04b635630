/** The version of the wire that is spoken here; see docs/client.md. */
const VERSION = 1;
/** Acknowledged at once after so many messages or characters that were received; else a moment later, all together. */
const ACK_MESSAGES = 32;
const ACK_CHARS = 65_536;

export interface Bounds {
  /** Messages that may wait for their acknowledgement at once. */
  readonly maxUnacknowledged: number;
  /** Their bytes of UTF-8, together. */
  readonly maxUnacknowledgedBytes: number;
  /** Bytes of UTF-8 of one message, either way. */
  readonly maxMessageBytes: number;
}

/** FULL: too much waits for its acknowledgement. TOO_LARGE: this message can never be sent. CLOSED, NOT_OPEN: nobody is there. */
export type ConnectionErrorCode = "FULL" | "TOO_LARGE" | "CLOSED" | "NOT_OPEN";

/** A message was not taken: it will not be sent. */
export class ConnectionError extends Error {
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string) {
    super(message);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** What a frame from the other end means. */
type Heard =
  /** The channel is open; `again` are the frames that the other end has not received, in order. */
  | { readonly kind: "welcome"; readonly resumed: boolean; readonly again: readonly string[] }
  /** The other end does not know the channel. What it had not acknowledged is given back, and a new hello is due. */
  | { readonly kind: "reset"; readonly unacknowledged: readonly string[] }
  | { readonly kind: "message"; readonly text: string }
  /** An acknowledgement, or a message that was received before. */
  | { readonly kind: "nothing" }
  | { readonly kind: "refused"; readonly code: 4002 | 4009; readonly reason: string };

/** The client's end of a channel. It knows numbers and frames, and nothing of sockets or time. */
export interface Numbered {
  /** The highest number of ours that the other end has received. */
  acknowledged(): number;
  /** Whether nothing of ours waits to be acknowledged. */
  idle(): boolean;
  /** What was not acknowledged, oldest first. */
  unacknowledged(): readonly string[];
  /** The first frame of every connection. */
  hello(): string;
  /** Takes a message and gives it the next number. @throws ConnectionError FULL, TOO_LARGE; then it was not taken */
  take(text: string): { readonly number: number; readonly frame: string };
  hear(frame: string): Heard;
  /** Something was received that no frame of ours has acknowledged: a little, or so much that it is due at once. */
  owes(): "nothing" | "soon" | "now";
  /** A frame that acknowledges and carries nothing else. */
  acknowledgement(): string;
}

export function numbered(bounds: Bounds): Numbered {
  const { maxUnacknowledged, maxUnacknowledgedBytes, maxMessageBytes } = bounds;
  let id = "";
  /** The other end has welcomed this id. One that it may never have heard of is not used again. */
  let known = false;
  /** Grows with every hello, so that one that was held up on an old connection cannot displace a newer one. */
  let turn = 0;
  let welcomed = false;
  let received = 0;
  let acknowledged = 0;
  let waiting: { readonly text: string; readonly bytes: number }[] = [];
  let waitingBytes = 0;
  let owedMessages = 0;
  let owedChars = 0;

  const acknowledgedNow = () => {
    owedMessages = 0;
    owedChars = 0;
    return received;
  };
  const frameOf = (number: number, text: string) => JSON.stringify([number, acknowledgedNow(), text]);
  const texts = () => waiting.map(({ text }) => text);
  /** @returns false for a number that cannot be */
  const acknowledge = (number: unknown): boolean => {
    if (!isCount(number) || number > acknowledged + waiting.length) return false;
    // One that is older than the last says nothing new.
    for (const { bytes } of waiting.splice(0, Math.max(0, number - acknowledged))) waitingBytes -= bytes;
    acknowledged = Math.max(acknowledged, number);
    return true;
  };
  const reset = () => {
    const unacknowledged = texts();
    known = false;
    received = 0;
    acknowledged = 0;
    waiting = [];
    waitingBytes = 0;
    acknowledgedNow();
    return unacknowledged;
  };

  const hearWelcome = (frame: readonly unknown[]): Heard => {
    if (frame[0] === "unknown" && frame.length === 1) {
      return known ? { kind: "reset", unacknowledged: reset() } : refused("a new channel cannot be unknown");
    }
    const [word, number] = frame;
    if (word !== "welcome" || frame.length !== 2 || !isCount(number) || number < acknowledged || !acknowledge(number)) {
      return refused("not a welcome");
    }
    const resumed = known;
    known = true;
    welcomed = true;
    return {
      kind: "welcome",
      resumed,
      again: waiting.map(({ text }, index) => frameOf(acknowledged + 1 + index, text)),
    };
  };

  return {
    acknowledged: () => acknowledged,
    idle: () => waiting.length === 0,
    unacknowledged: texts,
    hello() {
      welcomed = false;
      if (!known) id = randomId();
      turn += 1;
      return JSON.stringify(["holdover", VERSION, id, turn, ...(known ? [received, acknowledged] : [])]);
    },
    take(text) {
      const bytes = utf8Bytes(text);
      if (bytes > maxMessageBytes) {
        throw new ConnectionError(
          "TOO_LARGE",
          `A message of ${bytes} bytes is over maxMessageBytes, ${maxMessageBytes}.`,
        );
      }
      if (waiting.length >= maxUnacknowledged || waitingBytes + bytes > maxUnacknowledgedBytes) {
        throw new ConnectionError(
          "FULL",
          `${waiting.length} messages (${waitingBytes} bytes) wait to be acknowledged; wait for the event acknowledged.`,
        );
      }
      waiting.push({ text, bytes });
      waitingBytes += bytes;
      const number = acknowledged + waiting.length;
      return { number, frame: frameOf(number, text) };
    },
    hear(text) {
      // Six characters of JSON make one byte at the most: \u0000.
      if (text.length > maxMessageBytes * 6 + 64) return { kind: "refused", code: 4009, reason: "frame too large" };
      const frame = arrayOf(text);
      if (!frame) return refused("not a frame");
      if (!welcomed) return hearWelcome(frame);
      const [number, ack, message] = frame;
      if (!isCount(number) || frame.length !== (number === 0 ? 2 : 3) || !acknowledge(ack)) {
        return refused("not a frame");
      }
      if (number === 0) return { kind: "nothing" };
      if (typeof message !== "string" || number > received + 1) return refused("out of order");
      if (utf8Bytes(message) > maxMessageBytes) return { kind: "refused", code: 4009, reason: "message too large" };
      owedMessages += 1;
      owedChars += message.length;
      if (number <= received) return { kind: "nothing" };
      received = number;
      return { kind: "message", text: message };
    },
    owes: () =>
      owedMessages === 0 ? "nothing" : owedMessages >= ACK_MESSAGES || owedChars >= ACK_CHARS ? "now" : "soon",
    acknowledgement: () => JSON.stringify([0, acknowledgedNow()]),
  };
}

function refused(reason: string): Heard {
  return { kind: "refused", code: 4002, reason };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function arrayOf(text: string): readonly unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** 128 random bits. Whoever knows it could take the channel over, so it is not drawn from Math.random. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

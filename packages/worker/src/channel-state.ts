import { isChannelId, isCount } from "./channel-frames.ts";

export interface ChannelBounds {
  /** Messages of one channel that may wait for their acknowledgement at once; 1,000 unless set. */
  readonly maxUnacknowledged: number;
  /** Their bytes of UTF-8, together; 1 MiB unless set. */
  readonly maxUnacknowledgedBytes: number;
  /** Bytes of UTF-8 of one message, either way; 256 KiB unless set. */
  readonly maxMessageBytes: number;
}

/**
 * FULL: too much waits for its acknowledgement. TOO_LARGE: this message can never be sent. ENDED: the channel is over.
 * SNAPSHOT_INVALID: what was to be restored is no snapshot of channels, or one of channels that are here already.
 */
export type ChannelErrorCode = "FULL" | "TOO_LARGE" | "ENDED" | "SNAPSHOT_INVALID";

/** What was asked for was not done, and nothing was changed. */
export class ChannelError extends Error {
  readonly code: ChannelErrorCode;

  constructor(code: ChannelErrorCode, message: string) {
    super(message);
    this.name = "ChannelError";
    this.code = code;
  }
}

/** One channel as it is kept elsewhere. Plain JSON. */
export interface ChannelSnapshot {
  readonly id: string;
  /** The highest number of the client's that was received. */
  readonly received: number;
  /** The highest number of ours that the client has acknowledged. */
  readonly acknowledged: number;
  /** Ours after that, in order. */
  readonly unacknowledged: readonly string[];
  /** The highest number of ours that the client may have received from whoever took this snapshot. */
  readonly ours: number;
}

/** The numbers of one channel, and what waits to be acknowledged. It knows nothing of sockets or time. */
export class ChannelState {
  readonly id: string;
  received: number;
  #acknowledged: number;
  #waiting: string[];
  #waitingBytes = 0;
  /**
   * The last number that is known from a snapshot. A client that has received a later one had it from the instance before,
   * and ours of the same number would be taken for it. Null once the client has shown that it has not.
   */
  #restoredTo: number | null = null;

  constructor(id: string, from?: ChannelSnapshot) {
    this.id = id;
    this.received = from?.received ?? 0;
    this.#acknowledged = from?.acknowledged ?? 0;
    this.#waiting = [...(from?.unacknowledged ?? [])];
    for (const text of this.#waiting) this.#waitingBytes += Buffer.byteLength(text);
    if (from) this.#restoredTo = from.ours;
  }

  get #sent(): number {
    return this.#acknowledged + this.#waiting.length;
  }

  get unacknowledged(): readonly string[] {
    return this.#waiting;
  }

  /** Takes a message; returns its number. @throws ChannelError FULL, TOO_LARGE; then it was not taken */
  take(text: string, bounds: ChannelBounds): number {
    const bytes = Buffer.byteLength(text);
    if (bytes > bounds.maxMessageBytes) {
      throw new ChannelError(
        "TOO_LARGE",
        `A message of ${bytes} bytes is over maxMessageBytes, ${bounds.maxMessageBytes}.`,
      );
    }
    const count = this.#waiting.length;
    if (count >= bounds.maxUnacknowledged || this.#waitingBytes + bytes > bounds.maxUnacknowledgedBytes) {
      throw new ChannelError("FULL", `${count} messages (${this.#waitingBytes} bytes) wait to be acknowledged.`);
    }
    this.#waiting.push(text);
    this.#waitingBytes += bytes;
    return this.#sent;
  }

  /** @returns false for the acknowledgement of something that was never sent */
  acknowledge(number: number): boolean {
    if (number > this.#sent) return false;
    // One that is older than the last says nothing new.
    for (const text of this.#waiting.splice(0, Math.max(0, number - this.#acknowledged))) {
      this.#waitingBytes -= Buffer.byteLength(text);
    }
    this.#acknowledged = Math.max(this.#acknowledged, number);
    return true;
  }

  /** Whether a client that has so much of ours, and our word for so much of its own, can go on here without a gap. */
  continues(has: { readonly received: number; readonly acknowledged: number }): boolean {
    const ours = this.#restoredTo ?? this.#sent;
    if (has.received < this.#acknowledged || has.received > ours || has.acknowledged > this.received) return false;
    this.#restoredTo = null;
    return true;
  }

  /** What waits, with its numbers. */
  *numbered(): Iterable<readonly [number: number, text: string]> {
    for (const [index, text] of this.#waiting.entries()) yield [this.#acknowledged + 1 + index, text];
  }

  snapshot(): ChannelSnapshot {
    const { id, received } = this;
    const ours = this.#restoredTo ?? this.#sent;
    return { id, received, acknowledged: this.#acknowledged, unacknowledged: [...this.#waiting], ours };
  }
}

/** A snapshot from anywhere, once it is known to be one. @throws ChannelError SNAPSHOT_INVALID */
export function checkedSnapshot(value: unknown): ChannelSnapshot {
  if (typeof value === "object" && value !== null) {
    const { id, received, acknowledged, unacknowledged, ours } = value as Record<string, unknown>;
    const texts = Array.isArray(unacknowledged) && unacknowledged.every((text) => typeof text === "string");
    if (isChannelId(id) && isCount(received) && isCount(acknowledged) && texts && isCount(ours)) {
      const sent = acknowledged + unacknowledged.length;
      if (ours >= acknowledged && ours <= sent) return { id, received, acknowledged, unacknowledged, ours };
    }
  }
  throw new ChannelError("SNAPSHOT_INVALID", "This is no snapshot of a channel.");
}

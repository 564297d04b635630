/** Opcode of a Close frame (RFC 6455, 5.5.1). */
const CLOSE = 0x8;

/** Why a WebSocket is closed (RFC 6455, 7.4.1, and the IANA registry): 1001 going away, 1012 service restart. */
export type CloseCode = 1001 | 1012;

/**
 * Follows one direction of a WebSocket and knows where its frames end (RFC 6455, 5.2). It reads the headers of frames,
 * steps over their payloads, and copies nothing.
 */
export class FrameTracker {
  /** Bytes of the frame begun (mask key and payload) that are still to come, once its length is known. */
  #left = 0;
  /** Where in a frame's header the stream stands: 0 before it, 1 after its first byte, 2 within its extended length. */
  #inHeader: 0 | 1 | 2 = 0;
  #opcode = 0;
  #masked = false;
  #length = 0;
  #lengthBytes = 0;
  #closeBegun = false;
  #closed = false;

  /** Nothing of a frame has passed that was not followed by the rest of it. */
  get atBoundary(): boolean {
    return this.#inHeader === 0 && this.#left === 0;
  }

  /** A Close frame has passed, whole. No frame may follow it. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Takes the next bytes of the stream.
   * @returns the offset in `chunk` at which the last frame within it ends; -1 where no frame ends in it
   */
  feed(chunk: Uint8Array): number {
    let boundary = -1;
    for (let at = 0; at < chunk.length && !this.#closed;) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
      } else {
        this.#header(chunk[at] as number);
        at += 1;
      }
      if (!this.atBoundary) continue;
      boundary = at;
      this.#closed = this.#closeBegun;
    }
    return boundary;
  }

  #header(byte: number): void {
    switch (this.#inHeader) {
      case 0:
        this.#opcode = byte & 0x0f;
        this.#inHeader = 1;
        return;
      case 1: {
        this.#masked = (byte & 0x80) !== 0;
        const length = byte & 0x7f;
        this.#length = length < 126 ? length : 0;
        this.#lengthBytes = length < 126 ? 0 : length === 126 ? 2 : 8;
        this.#inHeader = 2;
        break;
      }
      case 2:
        this.#length = this.#length * 256 + byte;
        this.#lengthBytes -= 1;
        break;
    }
    if (this.#lengthBytes > 0) return;
    this.#inHeader = 0;
    this.#left = this.#length + (this.#masked ? 4 : 0);
    this.#closeBegun = this.#opcode === CLOSE;
  }
}

/**
 * A Close frame.
 * @param reason up to 123 bytes of UTF-8, for people
 * @param mask four random bytes, which a frame to a server must have; null for a frame to a client, which must have none
 */
export function closeFrame(code: CloseCode, reason: string, mask: Uint8Array | null): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  const head = [0x80 | CLOSE, payload.length | (mask ? 0x80 : 0)];
  if (!mask) return Buffer.concat([Buffer.from(head), payload]);
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, at) => byte ^ (mask[at % 4] as number))]);
}

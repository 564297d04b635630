import { HoldoverError } from "./errors.ts";
import { LINK_LINE_BYTES } from "./wire.ts";

/** Cuts what a stream brings into lines, however it was split on the way. */
export class LineReader {
  /** Pieces of the line that is not complete: joined once, so that a long line is not copied with every piece. */
  #pieces: string[] = [];
  #length = 0;
  #skipping = false;
  readonly #limit: number;
  readonly #tooLong: (() => void) | undefined;

  /**
   * @param limit characters of a line at the most
   * @param tooLong called once for a longer one, which is then passed over; left out: `feed` throws
   */
  constructor(limit: number = LINK_LINE_BYTES, tooLong?: () => void) {
    this.#limit = limit;
    this.#tooLong = tooLong;
  }

  /**
   * @returns the lines that are complete now, without their line ends
   * @throws HoldoverError LINK_MESSAGE_INVALID for a line that is too long
   */
  feed(chunk: string): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", from)) {
      this.#add(chunk.slice(from, end));
      if (!this.#skipping) lines.push(this.#pieces.join(""));
      this.#skipping = false;
      this.#pieces = [];
      this.#length = 0;
      from = end + 1;
    }
    this.#add(chunk.slice(from));
    return lines;
  }

  #add(piece: string): void {
    if (this.#skipping) return;
    this.#length += piece.length;
    if (this.#length <= this.#limit) {
      this.#pieces.push(piece);
      return;
    }
    if (!this.#tooLong) {
      throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: `a line is over ${this.#limit} bytes` });
    }
    this.#skipping = true;
    this.#pieces = [];
    this.#tooLong();
  }
}

import { HoldoverError } from "./errors.ts";
import { LINK_LINE_BYTES } from "./wire.ts";

/** Cuts what a stream brings into lines, however it was split on the way. */
export class LineReader {
  /** Pieces of the line that is not complete: joined once, so that a long line is not copied with every piece. */
  #pieces: string[] = [];
  #length = 0;

  /**
   * @returns the lines that are complete now, without their line ends
   * @throws HoldoverError LINK_MESSAGE_INVALID for a line over {@link LINK_LINE_BYTES} characters
   */
  feed(chunk: string): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", from)) {
      this.#add(chunk.slice(from, end));
      lines.push(this.#pieces.join(""));
      this.#pieces = [];
      this.#length = 0;
      from = end + 1;
    }
    this.#add(chunk.slice(from));
    return lines;
  }

  #add(piece: string): void {
    this.#length += piece.length;
    if (this.#length > LINK_LINE_BYTES) {
      throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: `a line is over ${LINK_LINE_BYTES} bytes` });
    }
    this.#pieces.push(piece);
  }
}

import { HoldoverError } from "./errors.ts";
import { LINK_LINE_BYTES } from "./wire.ts";

/** Cuts what a stream brings into lines, however it was split on the way. */
export class LineReader {
  #rest = "";

  /**
   * @returns the lines that are complete now, without their line ends
   * @throws HoldoverError LINK_MESSAGE_INVALID for a line over {@link LINK_LINE_BYTES} characters
   */
  feed(chunk: string): string[] {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LINK_LINE_BYTES) {
      throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: `a line is over ${LINK_LINE_BYTES} bytes` });
    }
    return lines;
  }
}

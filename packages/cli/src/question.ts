import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Terminal } from "./terminal.ts";

/** Questions to a person, one after the other. */
export interface Questions {
  /** @returns the answer; undefined for Ctrl-C and the end of input */
  ask(question: string): Promise<string | undefined>;
  close(): void;
}

/** Asks on standard error, so that a result stays alone on standard output. */
export function openQuestions({ stdin, stderr }: Terminal): Questions {
  const output = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      stderr.write(chunk);
      done();
    },
  });
  const reader = createInterface({ input: stdin, output, terminal: stdin.isTTY === true });
  let closed = false;
  reader.once("close", () => (closed = true));
  // The iterator keeps what was typed ahead; question() would drop it.
  const lines = reader[Symbol.asyncIterator]();
  return {
    async ask(question) {
      // Its input may have ended with answers still to be given out.
      if (closed) stderr.write(question);
      else {
        reader.setPrompt(question);
        reader.prompt();
      }
      const { value, done } = await lines.next();
      if (!done) return value;
      stderr.write("\n");
      return undefined;
    },
    close: () => reader.close(),
  };
}

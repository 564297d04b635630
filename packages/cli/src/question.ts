import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import type { Terminal } from "./terminal.ts";

/**
 * Asks a person, on standard error so that a result stays alone on standard output.
 * @returns the answer; undefined for Ctrl-C and the end of input
 */
export async function ask(terminal: Terminal, question: string): Promise<string | undefined> {
  const { stdin, stderr } = terminal;
  const output = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: stdin, output, terminal: stdin.isTTY === true });
  const gone = new AbortController();
  lines.once("close", () => gone.abort());
  lines.once("SIGINT", () => gone.abort());
  try {
    return await lines.question(question, { signal: gone.signal });
  } catch (error) {
    if (!gone.signal.aborted) throw error;
    stderr.write("\n");
    return undefined;
  } finally {
    lines.close();
  }
}

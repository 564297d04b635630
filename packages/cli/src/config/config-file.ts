import { open } from "node:fs/promises";
import { HoldoverError } from "@holdover/core";
import { configInvalid } from "./issue.ts";

/** A configuration of a thousand services is a tenth of this. */
const MAX_BYTES = 1_048_576;

/**
 * Reads at most 1 MiB of UTF-8, whatever kind of file it is.
 * @param shownAs the file's name for messages
 * @throws HoldoverError CONFIG_MISSING, CONFIG_INVALID
 */
export async function readConfigText(file: string, shownAs: string): Promise<string> {
  const bytes = await readBounded(file, shownAs);
  if (bytes.length > MAX_BYTES) {
    throw invalid(shownAs, "it is over 1 MiB", "Name the right file with --config, or split what it runs.");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const text = new TextDecoder("utf-8").decode(bytes);
    const before = text.slice(0, text.indexOf("\uFFFD")).split("\n");
    const issue = {
      line: before.length,
      column: (before.at(-1)?.length ?? 0) + 1,
      length: 1,
      problem: "this is not text in UTF-8",
      remedy: "Save the file in UTF-8, or name the right file with --config.",
    };
    throw configInvalid(shownAs, text, [issue]);
  }
}

async function readBounded(file: string, shownAs: string): Promise<Buffer> {
  try {
    const handle = await open(file, "r");
    try {
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new HoldoverError("CONFIG_MISSING", { file: shownAs }, { cause: error });
    }
    if (code === "EISDIR") throw invalid(shownAs, "it is a directory", "Name the file in it with --config.");
    if (code === "EACCES") throw invalid(shownAs, "it may not be read", "Give yourself the permission to read it.");
    throw error;
  }
}

function invalid(shownAs: string, problem: string, remedy: string): HoldoverError {
  return configInvalid(shownAs, "", [{ line: 1, column: 1, length: 1, problem, remedy }]);
}

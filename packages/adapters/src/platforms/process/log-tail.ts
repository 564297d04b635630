import { open } from "node:fs/promises";

/** Where rotation puts what a log held before. */
export const olderLog = (file: string): string => `${file}.1`;

const CHUNK_BYTES = 65_536;

/**
 * The last lines of a log, read from its end; where it is short because it was rotated of late, the older file is read
 * on. At most `maxBytes` are read, so a line that is longer than that comes back without its beginning.
 * A file that is not there holds no line.
 */
export async function tailLog(file: string, lines: number, maxBytes: number = 256 * 1024): Promise<string[]> {
  const newer = await tailBytes(file, 0, lines, maxBytes);
  const left = maxBytes - newer.bytes.length;
  if (!newer.complete || left <= 0 || linesOf(newer, lines + 1).length > lines) return linesOf(newer, lines);
  // Rotation may cut through a line: the two files are read as one stream of bytes.
  const older = await tailBytes(olderLog(file), 0, lines, left);
  return linesOf({ bytes: Buffer.concat([older.bytes, newer.bytes]), complete: older.complete }, lines);
}

/** The last lines that were written to a file after its first `from` bytes. */
export async function tailLogAfter(file: string, from: number, lines: number, maxBytes: number): Promise<string[]> {
  return linesOf(await tailBytes(file, from, lines, maxBytes), lines);
}

interface Tail {
  readonly bytes: Buffer;
  /** It begins where the file begins. */
  readonly complete: boolean;
}

async function tailBytes(file: string, from: number, lines: number, maxBytes: number): Promise<Tail> {
  const handle = await open(file, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!handle) return { bytes: Buffer.alloc(0), complete: true };
  try {
    const chunks: Buffer[] = [];
    let end = (await handle.stat()).size;
    let left = maxBytes;
    let breaks = 0;
    // One line break more than lines: only then is the first of them known to be whole.
    while (end > from && left > 0 && breaks <= lines) {
      const length = Math.min(CHUNK_BYTES, end - from, left);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, end - length);
      const chunk = buffer.subarray(0, bytesRead);
      // Truncated while it was read: what was there is in the older file by now.
      if (bytesRead < length) break;
      for (const byte of chunk) if (byte === 0x0a) breaks += 1;
      chunks.unshift(chunk);
      end -= length;
      left -= length;
    }
    return { bytes: Buffer.concat(chunks), complete: end <= from };
  } finally {
    await handle.close();
  }
}

function linesOf(tail: Tail, lines: number): string[] {
  const all = tail.bytes.toString("utf8").split("\n");
  if (all.at(-1) === "") all.pop();
  if (!tail.complete && all.length > 1) all.shift();
  return lines > 0 ? all.slice(-lines).map((line) => line.replace(/\r$/, "")) : [];
}

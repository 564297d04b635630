import { open } from "node:fs/promises";
import type { AuditSink } from "@holdover/core";

/**
 * Appends the audit log to a file, one entry a line as JSON; made with mode 0600 where it is missing. The file is opened
 * for each delivery, so that it may be moved away to be rotated, and entries are on the disk when they count as taken in.
 */
export function fileSink(file: string): AuditSink {
  return {
    name: `file ${file}`,
    deliver: async (entries) => {
      const handle = await open(file, "a+", 0o600);
      try {
        const { size } = await handle.stat();
        const last = size > 0 ? (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString() : "\n";
        // A crash may have left half a line, which is brought again: it must not run into the next one.
        const text = (last === "\n" ? "" : "\n") + entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
        await handle.appendFile(text);
        await handle.datasync();
      } finally {
        await handle.close();
      }
    },
  };
}

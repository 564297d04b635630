import {
  forwardAnswer,
  isOlderCopy,
  olderCopyName,
  TRIAL_ANSWER_MS,
  wireValue,
  type CheckpointEntry,
  type EncodedValue,
} from "@holdover/core";
import { base64 } from "./base64.ts";
import type { Worker } from "./worker.ts";

/**
 * The entries of a checkpoint, and for each that is too new for the worker who reads it a copy that it can read: made by a
 * worker of a release that knows both versions, where the checkpoint has none. It has none when the session has written
 * nothing since the older release came (back): an idle one, at a rollback. Where nobody can make one the entry stays as it
 * is, and the reader says what is missing.
 *
 * @param others workers of the same service that are linked
 */
export async function withOlderCopies(
  entries: readonly CheckpointEntry[],
  reader: Worker,
  others: readonly Worker[],
): Promise<readonly CheckpointEntry[]> {
  const names = new Set(entries.map(({ name }) => name));
  const copies = await Promise.all(
    entries.map(async (entry) => {
      const own = reader.formats.find(({ name }) => name === entry.format);
      if (!own || isOlderCopy(entry.name) || entry.version <= own.version) return null;
      // One without bytes says that there can be none.
      if (names.has(olderCopyName(entry.name, own.version))) return null;
      const bytes = await written(entry, own.version, others);
      return bytes && { name: olderCopyName(entry.name, own.version), ...bytes };
    }),
  );
  return [...entries, ...copies.filter((copy) => copy !== null)];
}

/** The entry as an older version has it, by whoever can write it so; null where nobody does. */
async function written(
  entry: CheckpointEntry,
  version: number,
  others: readonly Worker[],
): Promise<EncodedValue | null> {
  const writer = others.find(({ formats }) =>
    formats.some(
      ({ name, lowest, ...format }) => name === entry.format && format.version >= entry.version && lowest <= version,
    ),
  );
  try {
    const question = { try: "forward", sample: wireValue(entry, base64), wanted: [version] };
    const answer = await writer?.link?.call({ name: "try-formats", trial: question }, TRIAL_ANSWER_MS);
    const result = forwardAnswer.safeParse(answer).data;
    const copy = result?.read ? result.written.find((one) => one.version === version) : undefined;
    return copy ? { format: copy.format, version, bytes: base64.decode(copy.base64) } : null;
  } catch {
    // It went, or hangs: the same as if it were not there.
    return null;
  }
}

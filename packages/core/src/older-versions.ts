import type { CheckpointEntry } from "./checkpoint.ts";
import type { EncodedValue, SessionFormat } from "./session-format.ts";

/**
 * A release that is rolled back to has no code for what a newer one wrote. So the newer one writes, beside the entry
 * `cart` in its own version, one entry `cart#<version>` for each older version that still runs, in the same store write.
 * One without bytes says that no such value can be made of what is in `cart` now: it is read as if it were not there.
 */
const MARK = "#";

/** Whether an entry is of those that are written for older releases. */
export function isOlderCopy(name: string): boolean {
  return name.includes(MARK);
}

/** What the entry is called that holds the value of `name` as an older version has it. */
export function olderCopyName(name: string, version: number): string {
  return `${name}${MARK}${version}`;
}

/** The versions of which `names` has a copy of the entry `name`. */
export function olderCopyVersions(name: string, names: Iterable<string>): number[] {
  const start = `${name}${MARK}`;
  return [...names].filter((other) => other.startsWith(start)).map((other) => Number(other.slice(start.length)));
}

/**
 * Of the value `name`, the entry that a release reads best: its own or an older version, else the newest copy that was
 * written for it. Where it can read none, the entry in the version that it does not know: to decode that says why.
 * @returns undefined where there is no such value
 */
export function readableEntry(
  format: Pick<SessionFormat<unknown>, "name" | "version" | "oldest">,
  name: string,
  entries: ReadonlyMap<string, CheckpointEntry>,
): CheckpointEntry | undefined {
  const own = entries.get(name);
  if (!own || own.format !== format.name || own.version <= format.version) return own;
  const copies = olderCopyVersions(name, entries.keys())
    .filter((version) => version >= format.oldest && version <= format.version)
    .toSorted((a, b) => b - a)
    .map((version) => entries.get(olderCopyName(name, version)));
  return copies.find((copy) => copy?.format === format.name && copy.bytes.byteLength > 0) ?? own;
}

/** A value and its copies as the entries of a checkpoint. @param written in its own version first */
export function entriesOf(name: string, written: readonly EncodedValue[]): CheckpointEntry[] {
  return written.map((value, index) => ({
    ...value,
    name: index === 0 ? name : olderCopyName(name, value.version),
  }));
}

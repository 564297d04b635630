import { CHECKPOINT_QUOTA } from "./checkpoint.ts";
import { asHoldoverError, HoldoverError } from "./errors.ts";
import { entriesOf, readableEntry } from "./older-versions.ts";
import type { EncodedValue, SessionFormat } from "./session-format.ts";

/** What a release says of one of its formats, so far as it can be told without its code. */
export type DeclaredFormat = Pick<SessionFormat<unknown>, "name" | "version" | "oldest" | "lowest">;

/** A version in which a value could not be written, and why: without any value of the sessions. */
export interface Unwritten {
  readonly version: number;
  readonly reason: string;
}

/** What a release makes of a value that it finds. */
export type ForwardResult =
  | {
      readonly read: true;
      /** What it would write: its own version first, then the older ones that were wanted. */
      readonly written: readonly EncodedValue[];
      readonly unwritten: readonly Unwritten[];
    }
  | { readonly read: false; readonly reason: string };

/**
 * Reads a value as a session of this release would, and writes it again. Runs in a process of the release that is tried.
 * @param wanted the older versions that a rollback would need
 */
export function tryForward(
  formats: readonly SessionFormat<unknown>[],
  sample: EncodedValue,
  wanted: readonly number[],
): ForwardResult {
  const format = formats.find(({ name }) => name === sample.format);
  if (!format) return { read: false, reason: FORMAT_MISSING };
  try {
    const own = fitting(format.encode(format.decode(sample)));
    const written = [own];
    const unwritten: Unwritten[] = [];
    for (const version of new Set(wanted)) {
      if (version >= format.version) continue;
      try {
        written.push(fitting(format.downgrade(own, version)));
      } catch (thrown) {
        unwritten.push({ version, reason: redactedReason(thrown) });
      }
    }
    return { read: true, written, unwritten };
  } catch (thrown) {
    return { read: false, reason: redactedReason(thrown) };
  }
}

/**
 * Reads what another release has written, as a session of this release would after a rollback.
 * @param written its own version first, then the older ones
 * @returns why it cannot be read; null where it can, or where this release does not have the format: it loses nothing
 */
export function tryBack(formats: readonly SessionFormat<unknown>[], written: readonly EncodedValue[]): string | null {
  const name = written[0]?.format ?? "";
  const format = formats.find((one) => one.name === name);
  if (!format) return null;
  try {
    const entry = readableEntry(format, name, new Map(entriesOf(name, written).map((one) => [one.name, one])));
    if (entry) format.decode(entry);
    return null;
  } catch (thrown) {
    return redactedReason(thrown);
  }
}

/** Why a release cannot be read forward or back. Keys of sessions that are no field names are `*` in it. */
export interface FormatFailure {
  /** The version that the values were in. */
  readonly version: number;
  /** Of how many samples it is true; 0 where it needs no sample to be known. */
  readonly samples: number;
  readonly reason: string;
}

export interface DirectionReport {
  /** How many samples were tried, and how many failed. */
  readonly tried: number;
  readonly failed: number;
  /** The same reason once, at most 20. */
  readonly failures: readonly FormatFailure[];
}

/** What a new release and those that run can read of each other, of one format. */
export interface FormatReport {
  readonly format: string;
  /** The new release reads what is there. */
  readonly forward: DirectionReport;
  /** Another release reads what the new one makes of it: whether a rollback to it keeps the state. */
  readonly back: readonly (DirectionReport & { readonly release: string })[];
}

export const FORMAT_MISSING = "this release does not have the format";

/** Why nothing that `other` has written can be read by the new release; undefined where that is not so. */
export function unreadableForward(ofNew: DeclaredFormat | undefined, other: DeclaredFormat): string | undefined {
  if (!ofNew) return FORMAT_MISSING;
  return unreachable(ofNew, other);
}

/** Why a rollback to `other` loses all that the new release writes; undefined where that is not so. */
export function unreadableBack(ofNew: DeclaredFormat | undefined, other: DeclaredFormat): string | undefined {
  // What the new release does not have it leaves as it is.
  return ofNew && unreachable(other, ofNew);
}

function unreachable(reader: DeclaredFormat, writer: DeclaredFormat): string | undefined {
  if (writer.version < reader.oldest) {
    return `the upgrades to version ${reader.version} begin at ${reader.oldest}`;
  }
  if (writer.version > reader.version && writer.lowest > reader.version) {
    return `the downgrades of version ${writer.version} lead down to ${writer.lowest}, and version ${reader.version} is wanted`;
  }
  return undefined;
}

/** A store would refuse it. */
function fitting(value: EncodedValue): EncodedValue {
  const { entryBytes } = CHECKPOINT_QUOTA;
  const { format, version, bytes } = value;
  if (bytes.byteLength <= entryBytes) return value;
  const problem = `it would have more than the ${entryBytes} bytes that are allowed`;
  throw new HoldoverError("FORMAT_FAILED", { format, version, problem, redacted: problem });
}

/** Characters of a reason at the most: it is stored and shown. */
const REASON_MOST = 300;

/** The words of an error without what may come out of a session's data. */
function redactedReason(thrown: unknown): string {
  const { code, details } = asHoldoverError(thrown);
  return typeof details["redacted"] === "string" ? details["redacted"].slice(0, REASON_MOST) : code;
}

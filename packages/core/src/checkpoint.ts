import { HoldoverError } from "./errors.ts";

/** One named value of a session, encoded. */
export interface CheckpointEntry {
  /** 1 to 128 bytes of UTF-8 without control characters; so is `format`. */
  readonly name: string;
  /** The session format that the bytes are in, and its version: a whole number from 1. */
  readonly format: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** A session and the fence under which somebody holds it: a whole number from 1. */
export interface SessionClaim {
  readonly service: string;
  readonly key: string;
  readonly fence: number;
}

export interface CheckpointWrite extends SessionClaim {
  readonly entries: readonly CheckpointEntry[];
}

/** What is stored of a session. */
export interface Checkpoint {
  /** Under which the last write came. */
  readonly fence: number;
  /** At least one, each name once, in no order. */
  readonly entries: readonly CheckpointEntry[];
}

/** How much a session may keep. */
export interface CheckpointQuota {
  readonly entryBytes: number;
  readonly sessionBytes: number;
  readonly entries: number;
}

/** A store works beside live traffic: what takes it longer than some milliseconds would be felt by every session. */
export const CHECKPOINT_QUOTA: CheckpointQuota = { entryBytes: 256 * 1024, sessionBytes: 1024 * 1024, entries: 64 };

const MAX_NAME_BYTES = 128;

/**
 * The entries of a write by name, once each by itself is one that can be stored.
 * @throws HoldoverError CHECKPOINT_INVALID, CHECKPOINT_TOO_LARGE
 */
export function checkedEntries(
  session: SessionClaim,
  entries: readonly CheckpointEntry[],
  quota: CheckpointQuota,
): Map<string, CheckpointEntry> {
  const byName = new Map<string, CheckpointEntry>();
  for (const entry of entries) {
    const problem = problemWith(entry);
    if (problem) throw invalid(session, problem);
    if (entry.bytes.byteLength > quota.entryBytes) {
      const problem = `entry ${entry.name} has ${entry.bytes.byteLength} bytes, and ${quota.entryBytes} are allowed`;
      throw tooLarge(session, problem);
    }
    byName.set(entry.name, entry);
  }
  return byName;
}

/**
 * @param sizes bytes of every entry that the session would have, by name
 * @throws HoldoverError CHECKPOINT_TOO_LARGE
 */
export function checkQuota(session: SessionClaim, sizes: ReadonlyMap<string, number>, quota: CheckpointQuota): void {
  if (sizes.size > quota.entries) {
    throw tooLarge(session, `it would have ${sizes.size} entries, and ${quota.entries} are allowed`);
  }
  let bytes = 0;
  for (const size of sizes.values()) bytes += size;
  if (bytes > quota.sessionBytes) {
    throw tooLarge(session, `it would have ${bytes} bytes, and ${quota.sessionBytes} are allowed`);
  }
}

/**
 * Whether a claim holds against the fence that the store knows for the session.
 * @param known undefined where it knows none, which only a claim or a removal may meet
 * @throws HoldoverError CHECKPOINT_STALE, CHECKPOINT_INVALID
 */
export function checkFence(session: SessionClaim, known: number | undefined, what: "claim" | "write" | "remove"): void {
  const { service, key, fence } = session;
  if (!isCount(fence)) throw invalid(session, `${fence} is no fence`);
  if (known === undefined && what === "write") {
    throw new HoldoverError("CHECKPOINT_STALE", { service, key, fence, problem: "it has ended or was never claimed" });
  }
  if (known !== undefined && fence < known) {
    throw new HoldoverError("CHECKPOINT_STALE", { service, key, fence, problem: `its fence is ${known} now` });
  }
}

function problemWith({ name, format, version }: CheckpointEntry): string | null {
  if (!isName(name)) return "an entry has no name of 1 to 128 bytes without control characters";
  if (!isName(format)) return `the format of entry ${name} has no name of 1 to 128 bytes without control characters`;
  return isCount(version) ? null : `entry ${name} has the version ${version}, which is no whole number from 1`;
}

/** Whether a text can be the name of an entry or of a format: 1 to 128 bytes of UTF-8, no control characters. */
export function isName(text: string): boolean {
  if (text === "" || text.length > MAX_NAME_BYTES || !text.isWellFormed()) return false;
  let bytes = 0;
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    if (point < 0x20 || point === 0x7f) return false;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes <= MAX_NAME_BYTES;
}

/** A whole number from 1 that is exact. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function invalid({ service, key }: SessionClaim, problem: string): HoldoverError {
  return new HoldoverError("CHECKPOINT_INVALID", { service, key, problem });
}

function tooLarge({ service, key }: SessionClaim, problem: string): HoldoverError {
  return new HoldoverError("CHECKPOINT_TOO_LARGE", { service, key, problem });
}

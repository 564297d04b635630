import { HoldoverError } from "./errors.ts";

/** What is to be written into the audit log. */
export interface AuditDraft {
  readonly atMs: number;
  /** Noun and what became of it: `release.current`, `instance.lost`, `session.cut`. */
  readonly kind: string;
  /** Who wanted it: `operator`, `planner`, `host`, `control`. */
  readonly actor: string;
  readonly reason: string;
  readonly service?: string;
  readonly release?: string;
  readonly instance?: string;
  readonly session?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AuditEntry extends AuditDraft {
  /** 1 for the first, then without a gap. */
  readonly seq: number;
  readonly hash: string;
}

/** An entry as it is stored: the very text that was hashed, so that no reader has to make it again. */
export interface StoredAuditEntry {
  readonly seq: number;
  /** JSON of the {@link AuditDraft}. */
  readonly body: string;
  /** Lower-case hex of SHA-256 over `previous hash, newline, seq, newline, body`. */
  readonly hash: string;
}

/** Where a chain ends. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** SHA-256 of a text in UTF-8, as lower-case hex. */
export type Sha256 = (text: string) => string;

export const CHAIN_START: AuditHead = { seq: 0, hash: "0".repeat(64) };

export function nextEntry(head: AuditHead, draft: AuditDraft, sha256: Sha256): StoredAuditEntry {
  const seq = head.seq + 1;
  const body = JSON.stringify(draft);
  return { seq, body, hash: hashOf(head.hash, seq, body, sha256) };
}

/**
 * Follows a chain from its first entry to its head.
 * @throws HoldoverError AUDIT_BROKEN where an entry was edited, removed, put elsewhere, or cut off at the end
 */
export function verifyChain(entries: Iterable<StoredAuditEntry>, head: AuditHead, sha256: Sha256): AuditHead {
  let last = CHAIN_START;
  for (const entry of entries) {
    const seq = last.seq + 1;
    if (entry.seq !== seq)
      throw new HoldoverError("AUDIT_BROKEN", { seq, problem: `entry ${entry.seq} stands in its place` });
    if (entry.hash !== hashOf(last.hash, seq, entry.body, sha256)) {
      throw new HoldoverError("AUDIT_BROKEN", { seq, problem: "it does not follow from the one before" });
    }
    last = { seq, hash: entry.hash };
  }
  if (last.seq !== head.seq || last.hash !== head.hash) {
    throw new HoldoverError("AUDIT_BROKEN", {
      seq: last.seq + 1,
      problem: `the chain should end at entry ${head.seq} and ends at ${last.seq}`,
    });
  }
  return last;
}

export function readEntry(stored: StoredAuditEntry): AuditEntry {
  return { ...(JSON.parse(stored.body) as AuditDraft), seq: stored.seq, hash: stored.hash };
}

function hashOf(previous: string, seq: number, body: string, sha256: Sha256): string {
  return sha256(`${previous}\n${seq}\n${body}`);
}

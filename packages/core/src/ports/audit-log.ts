import type { AuditDraft, AuditEntry, AuditHead, SignedHead } from "../audit-chain.ts";
import type { AuditFilter } from "../audit-filter.ts";

/** Append-only and hash-chained: what happened, by whom and why. */
export interface AuditLog {
  /** MUST store all or none, in this order, as the chain's next entries. */
  append(drafts: readonly AuditDraft[]): Promise<void>;
  /**
   * Entries after `afterSeq`, oldest first, at most `limit`; their fields MUST be in the order in which they were given.
   * With a filter the first of those that {@link isSought}. MUST answer soon, however long the log is and however little of it is sought.
   */
  read(afterSeq: number, limit: number, filter?: AuditFilter): Promise<AuditEntry[]>;
  /** The last `limit` entries, oldest first; with a filter the last of those that {@link isSought}, as soon. */
  tail(limit: number, filter?: AuditFilter): Promise<AuditEntry[]>;
  head(): Promise<AuditHead>;
  /**
   * Reads the whole chain.
   * @param through a head that was signed: MUST be on the chain
   * @throws HoldoverError AUDIT_BROKEN
   */
  verify(through?: AuditHead): Promise<AuditHead>;
  /** Calls back after every append, with the new entries; returns what ends it. MUST NOT call before they are stored. */
  subscribe(listener: (entries: readonly AuditEntry[]) => void): () => void;
}

/** Keeps the head that was signed last, beside the chain. */
export interface SignedHeads {
  /** @throws HoldoverError AUDIT_BROKEN where it cannot be read */
  last(): Promise<SignedHead | null>;
  /** MUST replace the one before. */
  store(head: SignedHead): Promise<void>;
}

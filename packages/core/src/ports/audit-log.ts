import type { AuditDraft, AuditEntry, AuditHead } from "../audit-chain.ts";

/** Append-only and hash-chained: what happened, by whom and why. */
export interface AuditLog {
  /** MUST store all or none, in this order, as the chain's next entries. */
  append(drafts: readonly AuditDraft[]): Promise<void>;
  /** Entries after `afterSeq`, oldest first, at most `limit`. */
  read(afterSeq: number, limit: number): Promise<AuditEntry[]>;
  /** The last `limit` entries, oldest first. */
  tail(limit: number): Promise<AuditEntry[]>;
  head(): Promise<AuditHead>;
  /**
   * Reads the whole chain.
   * @throws HoldoverError AUDIT_BROKEN
   */
  verify(): Promise<AuditHead>;
  /** Calls back after every append, with the new entries; returns what ends it. MUST NOT call before they are stored. */
  subscribe(listener: (entries: readonly AuditEntry[]) => void): () => void;
}

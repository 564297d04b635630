import type { AuditEntry } from "../audit-chain.ts";

/** Somewhere else that the audit log goes to. */
export interface AuditSink {
  /** Names it to people and for its cursor; no secret in it. */
  readonly name: string;
  /**
   * Takes entries in. MUST resolve only when they are where they should be, in their order, and reject otherwise; the
   * same entries are then brought again, perhaps with more behind them.
   * @param givenUp resolves when nobody waits for it any more: it MUST let go of what it holds then
   */
  deliver(entries: readonly AuditEntry[], givenUp: Promise<void>): Promise<void>;
}

/** Keeps how far each sink has got. */
export interface AuditCursors {
  /** The number of the last entry that a sink has taken in; 0 before the first. */
  at(sink: string): Promise<number>;
  /** MUST be stored when it resolves. */
  move(sink: string, seq: number): Promise<void>;
}

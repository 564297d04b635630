import type { AuditDraft } from "../audit-chain.ts";
import type { EndedLengths } from "../length-days.ts";
import type { EndedSession, EndReason, SessionEvent } from "../session.ts";

/** Sessions that are over, for forecasts and for the record. */
export interface SessionHistory {
  /**
   * Stores a batch of a host's events and remembers its last number, in one step with the audit entries.
   * Events at or below the remembered number MUST be passed over with their entries: a host sends a batch again
   * until it knows that it arrived.
   *
   * @param auditOf the entries that an event leaves; none for a session that ended by itself
   * @returns the remembered number afterwards
   */
  record(
    host: string,
    events: readonly SessionEvent[],
    auditOf: (event: SessionEvent) => readonly AuditDraft[],
  ): Promise<number>;
  /** Ends since `sinceMs`, newest first, at most `limit`. MUST answer soon where a key is given, however many there are. */
  ended(
    filter: {
      readonly service?: string;
      readonly release?: string;
      /** A session key. */
      readonly key?: string;
      readonly sinceMs?: number;
    },
    limit: number,
  ): Promise<EndedSession[]>;
  /**
   * The lengths of a service's sessions that ended from `fromMs` on and before `untilMs`. Of more than `most` MUST give an
   * even sample over that time, of half as many to `most`.
   */
  lengths(service: string, fromMs: number, untilMs: number, most: number): Promise<EndedLengths>;
  /** How many sessions ended for which reason, and how many were disrupted, by service and release. */
  totals(): Promise<SessionTotals[]>;
}

export interface SessionTotals {
  readonly service: string;
  readonly release: string;
  readonly ended: Readonly<Record<EndReason, number>>;
  readonly disrupted: number;
}

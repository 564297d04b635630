import type { AuditDraft } from "./audit-chain.ts";

/** What is looked for in the audit log; what is left out is of no matter. */
export interface AuditFilter {
  readonly service?: string | undefined;
  readonly release?: string | undefined;
  /** A session key. */
  readonly session?: string | undefined;
  /** Any of these: a kind (`release.current`), or with a dot at its end every kind of a noun (`release.`). */
  readonly kinds?: readonly string[] | undefined;
  /** What happened then or later, epoch ms. */
  readonly sinceMs?: number | undefined;
}

/** Whether an entry is what a filter looks for: what every store has to keep to. */
export function isSought(entry: AuditDraft, { service, release, session, kinds, sinceMs }: AuditFilter): boolean {
  return (
    (service === undefined || entry.service === service) &&
    (release === undefined || entry.release === release) &&
    (session === undefined || entry.session === session) &&
    (kinds === undefined || kinds.some((kind) => kind === entry.kind || kind === nounOf(entry.kind))) &&
    (sinceMs === undefined || entry.atMs >= sinceMs)
  );
}

/** The noun of a kind with its dot: `release.` of `release.current`; empty where there is none. */
export function nounOf(kind: string): string {
  return kind.slice(0, kind.indexOf(".") + 1);
}

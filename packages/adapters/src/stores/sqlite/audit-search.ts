import { nounOf, type AuditFilter, type StoredAuditEntry } from "@holdover/core";
import { rowLimit, type Database } from "./database.ts";

/** A field of an entry's text; null also where somebody has made that text unreadable. */
const field = (name: string): string => `(CASE WHEN json_valid(body) THEN body ->> '$.${name}' END)`;
const SERVICE = field("service");
const RELEASE = field("release");
const SESSION = field("session");
const KIND = field("kind");
const AT_MS = field("atMs");
const NOUN = `(substr(${KIND}, 1, instr(${KIND}, '.')))`;

/**
 * The text of an entry stays as it was hashed; what is looked for in it is in the indexes alone. Each holds all that is asked
 * besides, so that a search which finds little goes through a million entries without reading one of them.
 */
export const AUDIT_INDEXES = `
  CREATE INDEX audit_by_session ON audit (${SESSION}) WHERE ${SESSION} IS NOT NULL;
  CREATE INDEX audit_by_service ON audit (${SERVICE}, seq, ${KIND}, ${AT_MS});
  CREATE INDEX audit_by_release ON audit (${RELEASE}, seq, ${SERVICE}, ${KIND}, ${AT_MS});
  CREATE INDEX audit_by_noun ON audit (${NOUN}, seq, ${SERVICE}, ${RELEASE}, ${KIND}, ${AT_MS});
  CREATE INDEX audit_by_time ON audit (${AT_MS});
`;

/** Which of the entries that are sought: the first after a number, or the last of all. */
export type Page = { readonly afterSeq: number } | "last";

/** Some of the entries: by which index, and what has to be true of them. */
interface Way {
  /** Null: in the order of the log itself. */
  readonly index: string | null;
  readonly where: readonly string[];
}

/** @returns at most `limit` entries, oldest first */
export function searchAudit(database: Database, filter: AuditFilter, page: Page, limit: number): StoredAuditEntry[] {
  const search = searchOf(filter, page, limit);
  return search
    ? database.read(() => database.sql.prepare(search.text).all(search.values) as unknown as StoredAuditEntry[])
    : [];
}

interface Search {
  readonly text: string;
  readonly values: Readonly<Record<string, string | number>>;
}

/** A test looks at how SQLite goes about it. @returns null where nothing can be found */
export function searchOf(filter: AuditFilter, page: Page, limit: number): Search | null {
  const values: Record<string, string | number> = {};
  const bind = (value: string | number): string => {
    const name = `v${Object.keys(values).length}`;
    values[name] = value;
    return `:${name}`;
  };
  const most = bind(rowLimit(limit));
  const order = page === "last" ? "DESC" : "ASC";
  const where: string[] = [];
  if (page !== "last") where.push(`seq > ${bind(page.afterSeq)}`);
  if (filter.sinceMs !== undefined) {
    const sinceMs = bind(filter.sinceMs);
    where.push(`${AT_MS} >= ${sinceMs}`);
    // Entries are nearly in the order of their times: what is older than the oldest that is sought is not gone through.
    where.push(`seq >= (SELECT min(seq) FROM audit INDEXED BY audit_by_time WHERE ${AT_MS} >= ${sinceMs})`);
  }
  const ways = waysTo(filter, where, bind);
  if (ways.length === 0) return null;
  const parts = ways.map(({ index, where: all }) => {
    const from = index === null ? "audit NOT INDEXED" : `audit INDEXED BY ${index}`;
    const seqs = `SELECT seq FROM ${from} WHERE ${["true", ...all].join(" AND ")} ORDER BY seq ${order} LIMIT ${most}`;
    return `SELECT seq FROM (${seqs})`;
  });
  const found = `SELECT seq FROM (${parts.join(" UNION ALL ")}) ORDER BY seq ${order} LIMIT ${most}`;
  return { text: `SELECT seq, body, hash FROM audit WHERE seq IN (${found}) ORDER BY seq`, values };
}

/** Ways that lead to no entry twice: of a session there are the fewest, of a service the most. */
function waysTo(
  { service, release, session, kinds }: AuditFilter,
  always: readonly string[],
  bind: (value: string | number) => string,
): Way[] {
  const where = [...always];
  if (service !== undefined) where.push(`${SERVICE} = ${bind(service)}`);
  if (release !== undefined) where.push(`${RELEASE} = ${bind(release)}`);
  const list = (values: readonly string[]): string => values.map(bind).join(", ");
  if (session !== undefined) {
    where.push(`${SESSION} = ${bind(session)}`);
    if (kinds) where.push(`(${NOUN} IN (${list(kinds)}) OR ${KIND} IN (${list(kinds)}))`);
    return [{ index: "audit_by_session", where }];
  }
  if (kinds) {
    return Array.from(Map.groupBy(kinds, nounOf), ([noun, own]) => {
      const ofNoun = [...where, `${NOUN} = ${bind(noun)}`];
      const all = own.includes(noun);
      return { index: "audit_by_noun", where: all ? ofNoun : [...ofNoun, `${KIND} IN (${list(own)})`] };
    });
  }
  if (release !== undefined) return [{ index: "audit_by_release", where }];
  return [{ index: service === undefined ? null : "audit_by_service", where }];
}

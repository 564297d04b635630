import {
  isForced,
  type EndedSession,
  type EndReason,
  type SessionEvent,
  type SessionHistory,
  type SessionTotals,
} from "@holdover/core";
import type { StoreWithAudit } from "./audit-log.ts";
import { rowLimit, type Database } from "./database.ts";

type Counted = EndReason | "disrupted";
const COUNTED: readonly Counted[] = ["hangup", "expired", "moved", "cut", "lost", "disrupted"];

type TotalsRow = Readonly<Record<Counted, number>> & { readonly service: string; readonly release: string };

interface LengthRow {
  readonly lengthMs: number;
  readonly reason: EndReason;
}

const endedWhere = (condition: string): string =>
  `SELECT service, key, release, instance, fence, opened_at_ms AS openedAtMs, reason, ended_at_ms AS endedAtMs,
     connections_closed AS connectionsClosed, label
   FROM ended WHERE ${condition} ended_at_ms >= :sinceMs ORDER BY ended_at_ms DESC, id DESC LIMIT :limit`;

/** The ends since a time, newest first, by what is asked for; a test looks at how SQLite goes about them. */
export function endedSince({ service, release, key }: Parameters<SessionHistory["ended"]>[0]): string {
  // A plus keeps SQLite from an index: of a key there are the fewest, of a service the most.
  const released = key === undefined ? "release" : "+release";
  const served = key === undefined && release === undefined ? "service" : "+service";
  return endedWhere(
    [
      ...(key === undefined ? [] : ["key = :key AND"]),
      ...(release === undefined ? [] : [`${released} = :release AND`]),
      ...(service === undefined ? [] : [`${served} = :service AND`]),
    ].join(" "),
  );
}

/** @param maxEnded ended sessions that are kept; above it the oldest, by arrival, are dropped */
export function sessionHistory(database: Database, store: StoreWithAudit, maxEnded: number): SessionHistory {
  const { sql } = database;
  const readLast = sql.prepare("SELECT last_seq AS seq FROM hosts WHERE host = ?");
  const setLast = sql.prepare("INSERT OR REPLACE INTO hosts (host, last_seq) VALUES (?, ?)");
  const insert = sql.prepare(
    `INSERT INTO ended (service, key, release, instance, fence, opened_at_ms, reason, ended_at_ms, connections_closed,
       label)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const dropUpTo = sql.prepare("DELETE FROM ended WHERE id <= ?");
  // Counted as they come: a count over a million rows would be paid by every look at the dashboard.
  const count = Object.fromEntries(
    COUNTED.map((column) => [
      column,
      sql.prepare(
        `INSERT INTO totals (service, release, ${column}) VALUES (?, ?, 1)
         ON CONFLICT DO UPDATE SET ${column} = ${column} + 1`,
      ),
    ]),
  ) as Record<Counted, ReturnType<typeof sql.prepare>>;
  const readTotals = sql.prepare("SELECT * FROM totals ORDER BY service, release");

  const countWithin = sql.prepare(
    "SELECT count(*) FROM ended WHERE service = :service AND ended_at_ms >= :fromMs AND ended_at_ms < :untilMs",
  );
  // Scattered over the ids by their product with a large number: services, or reasons, may alternate. What is left out is so
  // by the index alone.
  const sampleWithin = sql.prepare(
    `SELECT ended_at_ms - opened_at_ms AS lengthMs, reason FROM ended
     WHERE service = :service AND ended_at_ms >= :fromMs AND ended_at_ms < :untilMs
       AND ((id * 2654435761) >> 16) % :every = 0
     LIMIT :most`,
  );

  /** Within a transaction. */
  function add(event: SessionEvent): void {
    switch (event.kind) {
      case "ended": {
        const { service, key, release, instance, fence, openedAtMs, reason, endedAtMs, connectionsClosed, label } =
          event.session;
        const { lastInsertRowid } = insert.run(
          service,
          key,
          release,
          instance,
          fence,
          openedAtMs,
          reason,
          endedAtMs,
          connectionsClosed,
          label,
        );
        if (Number(lastInsertRowid) > maxEnded) dropUpTo.run(Number(lastInsertRowid) - maxEnded);
        count[reason].run(service, release);
        return;
      }
      case "disrupted":
        count.disrupted.run(event.pin.service, event.pin.release);
        return;
      // Its disruption was counted when it happened; what is left to tell stands in the audit log.
      case "placed-anew":
    }
  }

  const lastOf = (host: string): number =>
    database.read(() => (readLast.get(host) as { seq: number } | undefined)?.seq ?? 0);

  return {
    record: async (host, events, auditOf) => {
      const remembered = lastOf(host);
      let last = remembered;
      const fresh = events.filter((event) => {
        if (event.seq <= last) return false;
        last = event.seq;
        return true;
      });
      if (fresh.length === 0) return remembered;
      store(fresh.flatMap(auditOf), () => {
        for (const event of fresh) add(event);
        setLast.run(host, last);
      });
      return last;
    },

    ended: async ({ service, release, key, sinceMs = Number.NEGATIVE_INFINITY }, limit) =>
      database.read(() => {
        const given = {
          ...(service !== undefined && { service }),
          ...(release !== undefined && { release }),
          ...(key !== undefined && { key }),
        };
        const query = sql.prepare(endedSince(given));
        return sessionsOf(query.all({ ...given, sinceMs, limit: rowLimit(limit) }));
      }),

    lengths: async (service, fromMs, untilMs, most) =>
      database.read(() => {
        const within = { service, fromMs, untilMs };
        const ends = Number(Object.values(countWithin.get(within) ?? {})[0]);
        // Half to all of what is asked for, and no more than that by chance.
        const every = ends <= most ? 1 : Math.ceil(ends / (0.75 * most));
        const rows = sampleWithin.all({ ...within, every, most: rowLimit(most) }) as unknown as LengthRow[];
        return {
          ends,
          lengthMs: Float64Array.from(rows, ({ lengthMs }) => lengthMs),
          forced: Uint8Array.from(rows, ({ reason }) => (isForced(reason) ? 1 : 0)),
        };
      }),

    totals: async () => database.read(() => (readTotals.all() as unknown as TotalsRow[]).map(totalsOf)),
  };
}

function sessionsOf(rows: readonly unknown[]): EndedSession[] {
  return rows.map((row) => ({ ...(row as EndedSession) }));
}

function totalsOf(row: TotalsRow): SessionTotals {
  const { service, release, hangup, expired, moved, cut, lost, disrupted } = row;
  return { service, release, ended: { hangup, expired, moved, cut, lost }, disrupted };
}

import type { EndReason, SessionEvent, SessionEventDraft } from "@holdover/core";
import { onlyValue, rowLimit, type Database } from "./database.ts";

/** Session events on their way to control, oldest first. */
export interface EventOutbox {
  /** Stores events behind the last. Call it within `write`, and `stored` with its answer after that has returned. */
  readonly add: (drafts: readonly SessionEventDraft[]) => number;
  /** The transaction that had `add` in it is committed: the next events are numbered from here. */
  readonly stored: (lastSeq: number) => void;
  readonly oldest: (limit: number) => SessionEvent[];
  readonly forget: (upToSeq: number) => void;
  /** How many there are. */
  readonly waiting: () => number;
  readonly dropped: () => number;
}

interface EventRow {
  readonly seq: number;
  readonly atMs: number;
  readonly kind: SessionEvent["kind"];
  readonly service: string;
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
  readonly openedAtMs: number;
  readonly reason: EndReason | null;
  readonly endedAtMs: number | null;
  readonly connections: number | null;
  readonly fromInstance: string | null;
  readonly label: string | null;
}

export function eventOutbox(database: Database, maxEvents: number): EventOutbox {
  const { sql } = database;
  const insert = sql.prepare(
    `INSERT INTO events (seq, at_ms, kind, service, key, release, instance, fence, opened_at_ms, label, reason,
       ended_at_ms, connections, from_instance)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const removeUpTo = sql.prepare("DELETE FROM events WHERE seq <= ?");
  const countDropped = sql.prepare("UPDATE host SET dropped_events = dropped_events + ?");
  const setForgotten = sql.prepare("UPDATE host SET forgotten_seq = max(forgotten_seq, ?)");
  const readDropped = sql.prepare("SELECT dropped_events AS dropped FROM host");
  const readOldest = sql.prepare(
    `SELECT seq, at_ms AS atMs, kind, service, key, release, instance, fence, opened_at_ms AS openedAtMs, reason,
       ended_at_ms AS endedAtMs, connections, from_instance AS fromInstance, label
     FROM events ORDER BY seq LIMIT ?`,
  );
  // Events go from the old end only, so the highest number ever given is either still there or was forgotten.
  const readLast = sql.prepare(
    "SELECT max(forgotten_seq, coalesce((SELECT max(seq) FROM events), 0)) AS seq FROM host",
  );
  const readFirst = sql.prepare("SELECT min(seq) AS seq FROM events");
  let lastSeq = Number(onlyValue(database, readLast));

  return {
    add: (drafts) => {
      let seq = lastSeq;
      for (const draft of drafts) {
        seq += 1;
        insert.run(seq, ...columnsOf(draft));
      }
      if (drafts.length === 0 || seq <= maxEvents) return seq;
      const { changes } = removeUpTo.run(seq - maxEvents);
      if (Number(changes) > 0) countDropped.run(changes);
      return seq;
    },
    stored: (seq) => {
      lastSeq = seq;
    },
    oldest: (limit) => database.read(() => (readOldest.all(rowLimit(limit)) as unknown as EventRow[]).map(eventOf)),
    forget: (upToSeq) => {
      const seq = Math.min(upToSeq, lastSeq);
      database.write(() => {
        removeUpTo.run(seq);
        setForgotten.run(seq);
      });
    },
    // They are numbered without a gap, so nothing has to be counted.
    waiting: () => {
      const first = onlyValue(database, readFirst);
      return first === null ? 0 : lastSeq - Number(first) + 1;
    },
    dropped: () => Number(onlyValue(database, readDropped)),
  };
}

function columnsOf(draft: SessionEventDraft): (string | number | null)[] {
  const of = draft.kind === "ended" ? draft.session : draft.pin;
  const place = [of.service, of.key, of.release, of.instance, of.fence, of.openedAtMs, of.label];
  switch (draft.kind) {
    case "ended": {
      const { reason, endedAtMs, connectionsClosed } = draft.session;
      return [draft.atMs, draft.kind, ...place, reason, endedAtMs, connectionsClosed, null];
    }
    case "disrupted":
      return [draft.atMs, draft.kind, ...place, null, null, draft.connections, null];
    case "placed-anew":
      return [draft.atMs, draft.kind, ...place, null, null, null, draft.from];
  }
}

function eventOf(row: EventRow): SessionEvent {
  const { seq, atMs, kind, service, key, release, instance, fence, openedAtMs, label } = row;
  const pin = { service, key, release, instance, fence, openedAtMs, label };
  switch (kind) {
    case "ended": {
      const { reason, endedAtMs, connections } = row as EventRow & Ended;
      return { seq, atMs, kind, session: { ...pin, reason, endedAtMs, connectionsClosed: connections } };
    }
    case "disrupted":
      return { seq, atMs, kind, pin, connections: row.connections ?? 0 };
    case "placed-anew":
      return { seq, atMs, kind, pin, from: row.fromInstance ?? "" };
  }
}

/** What the columns of an ended session hold; the other kinds leave them empty. */
interface Ended {
  readonly reason: EndReason;
  readonly endedAtMs: number;
  readonly connections: number;
}

import {
  CHAIN_START,
  type AuditCursors,
  type AuditLog,
  type ForecastStore,
  type MemberStore,
  type ReleaseStore,
  type SessionHistory,
  type SessionTimeline,
  type SignedHeads,
  type StoreHealth,
  type TokenStore,
} from "@holdover/core";
import { auditCursors } from "./audit-cursors.ts";
import { auditChain, signedHeads } from "./audit-log.ts";
import { AUDIT_INDEXES } from "./audit-search.ts";
import { openDatabase, type Database, type OpenOptions } from "./database.ts";
import { forecastStore } from "./forecast-store.ts";
import type { Format } from "./format.ts";
import { MEMBER_TABLES, memberStore } from "./member-store.ts";
import { releaseStore } from "./release-store.ts";
import { sessionHistory } from "./session-history.ts";
import { sessionTimeline, TIMELINE_TABLE } from "./session-timeline.ts";
import { tokenStore } from "./token-store.ts";

/** What the control process keeps in one file. */
export interface ControlStore {
  readonly releases: ReleaseStore;
  readonly audit: AuditLog;
  readonly signedHeads: SignedHeads;
  readonly auditCursors: AuditCursors;
  readonly history: SessionHistory;
  readonly forecasts: ForecastStore;
  readonly timeline: SessionTimeline;
  readonly tokens: TokenStore;
  readonly members: MemberStore;
  readonly health: () => StoreHealth;
  /** See {@link Database.copyTo}. */
  readonly copyTo: (file: string) => Promise<void>;
  readonly close: () => void;
}

/** Ended sessions that are kept one by one, some 250 MB; above it the oldest are dropped. Totals count on. */
export const MAX_ENDED = 1_000_000;

/** How long a control process waits for the one before it to end: that one has had its SIGTERM by then. */
const WAIT_MS = 5000;

const FORMAT: Format = {
  name: "control",
  applicationId: 0x484f_4331,
  steps: [
    `
    -- Of these two, each row is one record as JSON, in the order in which it was given.
    CREATE TABLE services (position INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE instances (position INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE routing_table (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
    INSERT INTO routing_table VALUES (1, 0);

    CREATE TABLE audit (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
    -- Where the chain ends, apart from the chain: entries cut off at its end leave this behind.
    CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
    INSERT INTO audit_head VALUES (1, ${CHAIN_START.seq}, '${CHAIN_START.hash}');

    -- The highest event number of each host that is stored.
    CREATE TABLE hosts (host TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE ended (
      id INTEGER PRIMARY KEY,
      service TEXT NOT NULL,
      key TEXT NOT NULL,
      release TEXT NOT NULL,
      instance TEXT NOT NULL,
      fence INTEGER NOT NULL,
      opened_at_ms REAL NOT NULL,
      reason TEXT NOT NULL,
      ended_at_ms REAL NOT NULL,
      connections_closed INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX ended_by_time ON ended (ended_at_ms);
    CREATE INDEX ended_by_service ON ended (service, ended_at_ms);
    CREATE INDEX ended_by_release ON ended (release, ended_at_ms);
    CREATE TABLE totals (
      service TEXT NOT NULL,
      release TEXT NOT NULL,
      hangup INTEGER NOT NULL DEFAULT 0,
      expired INTEGER NOT NULL DEFAULT 0,
      moved INTEGER NOT NULL DEFAULT 0,
      cut INTEGER NOT NULL DEFAULT 0,
      lost INTEGER NOT NULL DEFAULT 0,
      disrupted INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (service, release)
    ) STRICT, WITHOUT ROWID;
    `,
    `
    ALTER TABLE ended ADD COLUMN label TEXT;
    -- The past forecasts of each service, as JSON.
    CREATE TABLE forecasts (service TEXT PRIMARY KEY, form INTEGER NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    `,
    `
    -- Tokens of the API by their digest: the token itself is stored nowhere.
    CREATE TABLE tokens (
      name TEXT PRIMARY KEY,
      role TEXT NOT NULL,
      digest TEXT NOT NULL,
      created_at_ms REAL NOT NULL,
      expires_at_ms REAL
    ) STRICT, WITHOUT ROWID;
    -- The last head that was signed, as JSON; no row before the first.
    CREATE TABLE audit_signed_head (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL) STRICT;
    -- How far each sink has taken the audit log.
    CREATE TABLE audit_cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    `,
    MEMBER_TABLES,
    `
    ${AUDIT_INDEXES}
    CREATE INDEX ended_by_key ON ended (key, ended_at_ms);
    `,
    TIMELINE_TABLE,
  ],
};

/** A change is on the disk when it is acknowledged and survives a power cut (`FULL`). */
export const CONTROL_FILE: OpenOptions = { format: FORMAT, synchronous: "FULL", waitMs: WAIT_MS };

/**
 * Opens the file of the control process, or creates it. No other process can open it meanwhile.
 *
 * @throws HoldoverError ALREADY_RUNNING after a wait of 5 s, STORE_CORRUPT, STORE_NEWER, STORE_FAILED; the file is then
 * as it was
 */
export function openControlStore(file: string): ControlStore {
  const database = openDatabase(file, CONTROL_FILE);
  try {
    return controlStoreOn(database, MAX_ENDED);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

export function controlStoreOn(database: Database, maxEnded: number): ControlStore {
  const { log, store } = auditChain(database);
  return {
    releases: releaseStore(database, store),
    audit: log,
    signedHeads: signedHeads(database),
    auditCursors: auditCursors(database),
    history: sessionHistory(database, store, maxEnded),
    forecasts: forecastStore(database),
    timeline: sessionTimeline(database),
    tokens: tokenStore(database, store),
    members: memberStore(database, store),
    health: database.health,
    copyTo: database.copyTo,
    close: database.close,
  };
}

import { randomUUID } from "node:crypto";
import {
  CHECKPOINT_QUOTA,
  type CheckpointStore,
  type PinStore,
  type StoreHealth,
  type TableCache,
} from "@holdover/core";
import { checkpointEnds } from "./checkpoint-ends.ts";
import { checkpointStore } from "./checkpoint-store.ts";
import { onlyValue, openDatabase, type Database, type OpenOptions } from "./database.ts";
import { eventOutbox } from "./event-outbox.ts";
import type { Format } from "./format.ts";
import { pinStore } from "./pin-store.ts";
import { tableCache } from "./table-cache.ts";

/** What the host process keeps in one file. */
export interface HostStore {
  /** Its `close` closes the whole file. */
  readonly pins: PinStore;
  readonly table: TableCache;
  readonly checkpoints: CheckpointStore;
  /** See {@link CheckpointEnds.forgetMoved}. */
  readonly forgetMoved: (beforeMs: number) => number;
  /** Random, made with the file: names this host to control, which counts its events by it. */
  readonly identity: string;
  /**
   * How many session events were dropped, ever, because control did not take them while {@link MAX_EVENTS} more came.
   * Above 0 the history and the audit log lack as many.
   */
  readonly droppedEvents: () => number;
  /** Session events that control has not stored yet. */
  readonly waitingEvents: () => number;
  readonly health: () => StoreHealth;
  /** See {@link Database.copyTo}. */
  readonly copyTo: (file: string) => Promise<void>;
  readonly close: () => void;
}

/** Session events that wait for control at the most, some 120 MB; above it the oldest are dropped and counted. */
export const MAX_EVENTS = 1_000_000;

const FORMAT: Format = {
  name: "host",
  applicationId: 0x484f_4831,
  steps: [
    `
    -- The only row: what there is once a file.
    CREATE TABLE host (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      identity TEXT NOT NULL,
      fences_reserved INTEGER NOT NULL DEFAULT 0,
      forgotten_seq INTEGER NOT NULL DEFAULT 0,
      dropped_events INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE pins (
      service TEXT NOT NULL,
      key TEXT NOT NULL,
      release TEXT NOT NULL,
      instance TEXT NOT NULL,
      fence INTEGER NOT NULL,
      opened_at_ms REAL NOT NULL,
      PRIMARY KEY (service, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
      seq INTEGER PRIMARY KEY,
      at_ms REAL NOT NULL,
      kind TEXT NOT NULL,
      service TEXT NOT NULL,
      key TEXT NOT NULL,
      release TEXT NOT NULL,
      instance TEXT NOT NULL,
      fence INTEGER NOT NULL,
      opened_at_ms REAL NOT NULL,
      reason TEXT,
      ended_at_ms REAL,
      connections INTEGER,
      from_instance TEXT
    ) STRICT;
    CREATE TABLE routing_table (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL) STRICT;
    `,
    `
    -- The session's value of its service's label.
    ALTER TABLE pins ADD COLUMN label TEXT;
    ALTER TABLE events ADD COLUMN label TEXT;
    `,
    `
    -- Sessions that have been claimed: under which fence, and under which the last write came.
    CREATE TABLE checkpoints (
      id INTEGER PRIMARY KEY,
      service TEXT NOT NULL,
      key TEXT NOT NULL,
      fence INTEGER NOT NULL,
      written_fence INTEGER NOT NULL,
      UNIQUE (service, key)
    ) STRICT;
    CREATE TABLE checkpoint_entries (
      checkpoint INTEGER NOT NULL,
      name TEXT NOT NULL,
      service TEXT NOT NULL,
      format TEXT NOT NULL,
      version INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      UNIQUE (checkpoint, name)
    ) STRICT;
    -- For samples: some entries of every format and version.
    CREATE INDEX checkpoint_entries_by_format ON checkpoint_entries (service, format, version);
    `,
    `
    -- When the session was moved; its next owner takes this away.
    ALTER TABLE checkpoints ADD COLUMN moved_at_ms REAL;
    CREATE INDEX checkpoints_moved ON checkpoints (moved_at_ms) WHERE moved_at_ms IS NOT NULL;
    `,
  ],
};

/**
 * A commit is in the kernel's hands when it returns and survives a crash of the process, without a wait for the disk
 * (`NORMAL`). A power cut may take back the last commits, in order and whole; it never damages the file. That is enough
 * here: the cut ends the instances too, and a pin to an instance that is gone protects nobody.
 */
export const HOST_FILE: OpenOptions = { format: FORMAT, synchronous: "NORMAL", waitMs: 0 };

/**
 * Opens the file of the host process, or creates it. No other process can open it meanwhile, and none waits.
 *
 * @throws HoldoverError ALREADY_RUNNING, STORE_CORRUPT, STORE_NEWER, STORE_FAILED; the file is then as it was
 */
export function openHostStore(file: string): HostStore {
  const database = openDatabase(file, HOST_FILE);
  try {
    return hostStoreOn(database, MAX_EVENTS);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

export function hostStoreOn(database: Database, maxEvents: number): HostStore {
  const identity = identityOf(database);
  const outbox = eventOutbox(database, maxEvents);
  const ends = checkpointEnds(database);
  return {
    pins: pinStore(database, outbox, ends),
    forgetMoved: (beforeMs) => ends.forgetMoved(beforeMs),
    table: tableCache(database),
    checkpoints: checkpointStore(database, CHECKPOINT_QUOTA),
    identity,
    droppedEvents: outbox.dropped,
    waitingEvents: outbox.waiting,
    health: database.health,
    copyTo: database.copyTo,
    close: database.close,
  };
}

function identityOf(database: Database): string {
  const { sql } = database;
  const stored = sql.prepare("SELECT identity FROM host");
  if (stored.get() === undefined) {
    const insert = sql.prepare("INSERT INTO host (one, identity) VALUES (1, ?)");
    database.write(() => insert.run(randomUUID()));
  }
  return String(onlyValue(database, stored));
}

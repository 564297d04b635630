import type { SessionSamples, SessionTimeline } from "@holdover/core";
import type { Database } from "./database.ts";

/** Rows are read by the end of a run, and dropped by it. */
export const TIMELINE_TABLE = `
  -- Runs of samples: their times (64-bit floats), the releases as JSON, and for each of these one column of counts (32-bit
  -- integers); numbers are little-endian.
  CREATE TABLE session_samples (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    from_ms REAL NOT NULL,
    until_ms REAL NOT NULL,
    at_ms BLOB NOT NULL,
    releases TEXT NOT NULL,
    live BLOB NOT NULL
  ) STRICT;
  CREATE INDEX session_samples_by_service ON session_samples (service, until_ms);
  CREATE INDEX session_samples_by_time ON session_samples (until_ms);
`;

interface Row {
  readonly at_ms: Uint8Array;
  readonly releases: string;
  readonly live: Uint8Array;
}

export function sessionTimeline(database: Database): SessionTimeline {
  const { sql } = database;
  const insert = sql.prepare(
    "INSERT INTO session_samples (service, from_ms, until_ms, at_ms, releases, live) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const within = sql.prepare(
    `SELECT at_ms, releases, live FROM session_samples
     WHERE service = ? AND until_ms >= ? AND from_ms <= ? ORDER BY id`,
  );
  const drop = sql.prepare("DELETE FROM session_samples WHERE until_ms < ?");
  return {
    append: async (samples) => {
      database.write(() => {
        for (const [service, { atMs, releases, live }] of samples) {
          if (atMs.length === 0) continue;
          const fromMs = atMs.reduce((least, at) => Math.min(least, at));
          const untilMs = atMs.reduce((most, at) => Math.max(most, at));
          insert.run(service, fromMs, untilMs, bytesOfTimes(atMs), JSON.stringify(releases), bytesOfCounts(live));
        }
      });
    },
    read: async (service, fromMs, untilMs) =>
      database.read(() => {
        const rows = within.all(service, fromMs, untilMs) as unknown as Row[];
        // Nearly all runs are of the same releases as the one before, and then of the very same list: whoever reads it may
        // rely on that to be quick.
        let text = "[]";
        let releases: readonly string[] = [];
        return rows.map((row) => {
          if (row.releases !== text) [text, releases] = [row.releases, JSON.parse(row.releases) as string[]];
          return samplesIn(row, releases);
        });
      }),
    forget: async (beforeMs) => {
      database.write(() => drop.run(beforeMs));
    },
  };
}

function bytesOfTimes(times: Float64Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * times.length));
  for (const [index, at] of times.entries()) view.setFloat64(8 * index, at, true);
  return new Uint8Array(view.buffer);
}

function bytesOfCounts(counts: Int32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * counts.length));
  for (const [index, sessions] of counts.entries()) view.setInt32(4 * index, sessions, true);
  return new Uint8Array(view.buffer);
}

function samplesIn(row: Row, releases: readonly string[]): SessionSamples {
  const times = viewOf(row.at_ms);
  const counts = viewOf(row.live);
  const atMs = new Float64Array(times.byteLength / 8);
  for (let index = 0; index < atMs.length; index++) atMs[index] = times.getFloat64(8 * index, true);
  const live = new Int32Array(counts.byteLength / 4);
  for (let index = 0; index < live.length; index++) live[index] = counts.getInt32(4 * index, true);
  return { atMs, releases, live };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

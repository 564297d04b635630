import {
  checkedEntries,
  checkFence,
  checkQuota,
  type CheckpointEntry,
  type CheckpointQuota,
  type CheckpointStore,
  type CheckpointWrite,
  type SessionClaim,
} from "@holdover/core";
import { rowLimit, type Database } from "./database.ts";

interface SessionRow {
  readonly id: number;
  readonly fence: number;
  readonly writtenFence: number;
}

type SizeRow = [name: string, format: string, version: number, bytes: number];

interface Group {
  readonly format: string;
  readonly version: number;
}

/** A session is one row with its fence, and one row for each entry. Nothing of it is held in memory. */
export function checkpointStore(database: Database, quota: CheckpointQuota): CheckpointStore {
  const { sql } = database;
  const find = sql.prepare(
    "SELECT id, fence, written_fence AS writtenFence FROM checkpoints WHERE service = ? AND key = ?",
  );
  // One without a pin was moved a moment ago, and keeps something for the first time.
  const insert = sql.prepare(
    `INSERT INTO checkpoints (service, key, fence, written_fence, moved_at_ms) SELECT ?1, ?2, ?3, ?3,
       iif(EXISTS (SELECT 1 FROM pins WHERE service = ?1 AND key = ?2), NULL, unixepoch('subsec') * 1000)`,
  );
  // What its last owner still writes does not take away that it was moved.
  const setFences = sql.prepare(
    `UPDATE checkpoints SET fence = ?1, written_fence = ?2, moved_at_ms = iif(fence = ?1, moved_at_ms, NULL)
     WHERE id = ?3`,
  );
  const removeSession = sql.prepare("DELETE FROM checkpoints WHERE id = ?");
  const sizesOf = sql.prepare(
    "SELECT name, format, version, length(bytes) FROM checkpoint_entries WHERE checkpoint = ?",
  );
  sizesOf.setReturnArrays(true);
  const setBytes = sql.prepare("UPDATE checkpoint_entries SET bytes = ? WHERE checkpoint = ? AND name = ?");
  const insertEntry = sql.prepare(
    `INSERT OR REPLACE INTO checkpoint_entries (checkpoint, name, service, format, version, bytes)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const removeEntries = sql.prepare("DELETE FROM checkpoint_entries WHERE checkpoint = ?");
  const entriesOf = sql.prepare("SELECT name, format, version, bytes FROM checkpoint_entries WHERE checkpoint = ?");
  const nextGroup = sql.prepare(
    `SELECT format, version FROM checkpoint_entries WHERE service = ? AND (format, version) > (?, ?)
     ORDER BY format, version LIMIT 1`,
  );
  const newestOf = sql.prepare(
    `SELECT name, format, version, bytes FROM checkpoint_entries WHERE service = ? AND format = ? AND version = ?
     ORDER BY rowid DESC LIMIT ?`,
  );

  const sessionOf = ({ service, key }: { readonly service: string; readonly key: string }): SessionRow | undefined =>
    find.get(service, key) as SessionRow | undefined;

  function write(write: CheckpointWrite): void {
    const entries = checkedEntries(write, write.entries, quota);
    const { session, stored } = database.read(() => {
      const found = sessionOf(write);
      return { session: found, stored: found ? (sizesOf.all(found.id) as unknown as SizeRow[]) : [] };
    });
    checkFence(write, session?.fence, "write");
    if (!session) return;
    const sizes = new Map(stored.map(([name, , , bytes]) => [name, bytes]));
    for (const { name, bytes } of entries.values()) sizes.set(name, bytes.byteLength);
    checkQuota(write, sizes, quota);
    const formats = new Map(stored.map(([name, format, version]) => [name, { format, version }]));
    database.write(() => {
      const { id, fence, writtenFence } = session;
      if (fence !== write.fence || writtenFence !== write.fence) setFences.run(write.fence, write.fence, id);
      for (const { name, format, version, bytes } of entries.values()) {
        const before = formats.get(name);
        // Most writes are of this kind, and leave the indexes alone.
        if (before?.format === format && before.version === version) setBytes.run(bytes, id, name);
        else insertEntry.run(id, name, write.service, format, version, bytes);
      }
    });
  }

  function claim(claimed: SessionClaim): void {
    const session = database.read(() => sessionOf(claimed));
    checkFence(claimed, session?.fence, "claim");
    const { service, key, fence } = claimed;
    if (session?.fence === fence) return;
    database.write(() => {
      if (session) setFences.run(fence, session.writtenFence, session.id);
      else insert.run(service, key, fence);
    });
  }

  function remove(ended: SessionClaim): void {
    const session = database.read(() => sessionOf(ended));
    checkFence(ended, session?.fence, "remove");
    if (!session) return;
    database.write(() => {
      removeEntries.run(session.id);
      removeSession.run(session.id);
    });
  }

  function groupsOf(service: string): Group[] {
    const groups: Group[] = [];
    for (let last: Group = { format: "", version: 0 }; ;) {
      // One step down an index for each, however many sessions there are.
      const next = nextGroup.get(service, last.format, last.version) as Group | undefined;
      if (!next) return groups;
      groups.push(next);
      last = next;
    }
  }

  function sample(service: string, limit: number): CheckpointEntry[] {
    const groups = groupsOf(service);
    const found: CheckpointEntry[] = [];
    for (const [index, { format, version }] of groups.entries()) {
      const share = Math.ceil((limit - found.length) / (groups.length - index));
      found.push(...entriesFrom(newestOf.all(service, format, version, share)));
    }
    return found;
  }

  return {
    claim: async (session) => claim(session),
    write: async (written) => write(written),
    remove: async (session) => remove(session),
    read: async (service, key) =>
      database.read(() => {
        const session = sessionOf({ service, key });
        const entries = session ? entriesFrom(entriesOf.all(session.id)) : [];
        return session && entries.length > 0 ? { fence: session.writtenFence, entries } : undefined;
      }),
    sample: async (service, limit) => database.read(() => sample(service, rowLimit(limit))),
  };
}

function entriesFrom(rows: readonly unknown[]): CheckpointEntry[] {
  return rows.map((row) => ({ ...(row as CheckpointEntry) }));
}

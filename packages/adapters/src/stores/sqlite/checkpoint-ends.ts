import type { EndedSession } from "@holdover/core";
import type { Database } from "./database.ts";

/** What becomes of checkpoints when their sessions end. */
export interface CheckpointEnds {
  /** Within a transaction of its caller: the checkpoint goes with its session, and that of a moved one waits for its next owner. */
  end(session: EndedSession, atMs: number): void;
  /**
   * Removes the checkpoints of sessions that were moved before a time and that nobody came back to.
   * @returns how many; never more than some hundred at a time, so that nobody else waits for it
   */
  forgetMoved(beforeMs: number): number;
}

const FORGOTTEN_AT_A_TIME = 200;

export function checkpointEnds(database: Database): CheckpointEnds {
  const { sql } = database;
  const find = sql.prepare("SELECT id FROM checkpoints WHERE service = ? AND key = ? AND fence <= ?");
  const keep = sql.prepare("UPDATE checkpoints SET moved_at_ms = ? WHERE id = ?");
  const removeEntries = sql.prepare("DELETE FROM checkpoint_entries WHERE checkpoint = ?");
  const removeSession = sql.prepare("DELETE FROM checkpoints WHERE id = ?");
  const moved = sql.prepare(`SELECT id FROM checkpoints WHERE moved_at_ms < ? LIMIT ${FORGOTTEN_AT_A_TIME}`);

  const remove = (id: number): void => {
    removeEntries.run(id);
    removeSession.run(id);
  };

  return {
    end({ service, key, fence, reason }, atMs) {
      const found = find.get(service, key, fence) as { id: number } | undefined;
      if (!found) return;
      if (reason === "moved") keep.run(atMs, found.id);
      else remove(found.id);
    },
    forgetMoved(beforeMs) {
      const ids = database.read(() => moved.all(beforeMs)) as { id: number }[];
      if (ids.length > 0) database.write(() => ids.forEach(({ id }) => remove(id)));
      return ids.length;
    },
  };
}

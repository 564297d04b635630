import type { AuditCursors } from "@holdover/core";
import type { Database } from "./database.ts";

export function auditCursors(database: Database): AuditCursors {
  const { sql } = database;
  const read = sql.prepare("SELECT seq FROM audit_cursors WHERE sink = ?");
  const write = sql.prepare("INSERT OR REPLACE INTO audit_cursors (sink, seq) VALUES (?, ?)");
  return {
    at: async (sink) => (database.read(() => read.get(sink)) as { seq: number } | undefined)?.seq ?? 0,
    move: async (sink, seq) => {
      database.write(() => write.run(sink, seq));
    },
  };
}

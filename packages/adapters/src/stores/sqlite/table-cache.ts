import { routingTable, type TableCache } from "@holdover/core";
import type { Database } from "./database.ts";

export function tableCache(database: Database): TableCache {
  const { sql } = database;
  const store = sql.prepare("INSERT OR REPLACE INTO routing_table (one, body) VALUES (1, ?)");
  const stored = sql.prepare("SELECT body FROM routing_table");
  return {
    save: (table) => {
      database.write(() => store.run(JSON.stringify(table)));
    },
    load: () =>
      database.read(() => {
        const row = stored.get() as { body: string } | undefined;
        // A table that another version of Holdover left and this one cannot follow is no table: control sends a new one.
        return row && routingTable.safeParse(JSON.parse(row.body)).data;
      }),
  };
}

import { HoldoverError, type Instance, type ReleaseStore, type ServiceRecord } from "@holdover/core";
import type { StoreWithAudit } from "./audit-log.ts";
import { onlyValue, type Database } from "./database.ts";

export function releaseStore(database: Database, store: StoreWithAudit): ReleaseStore {
  const { sql } = database;
  const services = recordList<ServiceRecord>(database, "services");
  const instances = recordList<Instance>(database, "instances");
  const readNumber = sql.prepare("SELECT number FROM routing_table");
  const setNumber = sql.prepare("UPDATE routing_table SET number = ?");
  const tableNumber = (): number => Number(onlyValue(database, readNumber));

  return {
    services: async () => services.read(),
    saveServices: async (records, because) => store(because, () => services.replace(records)),
    instances: async () => instances.read(),
    saveInstances: async (records, because) => store(because, () => instances.replace(records)),
    tableNumber: async () => tableNumber(),
    saveTableNumber: async (number, because) => {
      const last = tableNumber();
      // Two tables under one number: some routers would follow the one, some the other.
      if (!Number.isSafeInteger(number) || number <= last) {
        throw new HoldoverError("INTERNAL", { problem: `table number ${number} does not grow beyond ${last}` });
      }
      store(because, () => setNumber.run(number));
    },
  };
}

/** A list that is stored whole. */
function recordList<T>(
  { sql, read }: Database,
  table: "services" | "instances",
): { readonly read: () => T[]; readonly replace: (records: readonly T[]) => void } {
  const all = sql.prepare(`SELECT body FROM ${table} ORDER BY position`);
  const clear = sql.prepare(`DELETE FROM ${table}`);
  const insert = sql.prepare(`INSERT INTO ${table} (position, body) VALUES (?, ?)`);
  return {
    read: () => read(() => all.all().map((row) => JSON.parse(String(row["body"])) as T)),
    replace: (records) => {
      clear.run();
      for (const [position, record] of records.entries()) insert.run(position, JSON.stringify(record));
    },
  };
}

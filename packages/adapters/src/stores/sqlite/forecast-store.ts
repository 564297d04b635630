import type { ForecastRecord, ForecastStore } from "@holdover/core";
import type { Database } from "./database.ts";

/** What a stored record looks like; one of another form is left out, and its service begins to learn anew. */
const FORM = 1;

export function forecastStore(database: Database): ForecastStore {
  const { sql } = database;
  const readAll = sql.prepare("SELECT service, body FROM forecasts WHERE form = ? ORDER BY service");
  const write = sql.prepare("INSERT OR REPLACE INTO forecasts (service, form, body) VALUES (?, ?, ?)");
  return {
    load: async () =>
      database.read(() => {
        const rows = readAll.all(FORM) as unknown as { readonly service: string; readonly body: string }[];
        return new Map(rows.map(({ service, body }) => [service, JSON.parse(body) as ForecastRecord]));
      }),
    save: async (service, record) => {
      database.write(() => write.run(service, FORM, JSON.stringify(record)));
    },
  };
}

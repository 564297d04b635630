import type { ForecastRecord } from "../forecast-record.ts";

/** Where a service's past forecasts are kept, so that a new control process goes on learning from them. */
export interface ForecastStore {
  /** By service. A record that this version cannot read is left out: forecasts then begin to learn anew. */
  load(): Promise<ReadonlyMap<string, ForecastRecord>>;
  /** Replaces the record of a service. @throws HoldoverError STORE_FAILED */
  save(service: string, record: ForecastRecord): Promise<void>;
}

import { emptyForecastRecord, remember, settle, type ForecastRecord, type ForecastStore } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh, empty store. */
export interface OpenedForecastStore {
  readonly store: ForecastStore;
  /** The store as a control process finds it that starts again. The one before is closed. */
  reopen(): Promise<ForecastStore>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link ForecastStore} keeps to. */
export function forecastStoreConformance(name: string, open: () => Promise<OpenedForecastStore>): void {
  describe(`${name} as a ForecastStore`, () => {
    let opened: OpenedForecastStore;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.close());

    it("knows no service before a record was saved", async () => {
      expect(await opened.store.load()).toEqual(new Map());
    });

    it("gives back the last record of each service to the last digit, also after it was opened again", async () => {
      await opened.store.save("rooms", emptyForecastRecord());
      await opened.store.save("rooms", learned());
      await opened.store.save("chat", emptyForecastRecord());
      const saved = new Map([
        ["rooms", learned()],
        ["chat", emptyForecastRecord()],
      ]);
      expect(await opened.store.load()).toEqual(saved);
      expect(await (await opened.reopen()).load()).toEqual(saved);
    });

    it("throws STORE_FAILED when it cannot be written, and keeps the record before", async () => {
      await opened.store.save("rooms", learned());
      await opened.refuseWrites(true);
      await expect(opened.store.save("rooms", emptyForecastRecord())).rejects.toMatchObject({ code: "STORE_FAILED" });
      await opened.refuseWrites(false);
      expect(await opened.store.load()).toEqual(new Map([["rooms", learned()]]));
    });
  });
}

/** A record with trials that wait and some that are settled. */
function learned(): ForecastRecord {
  const model = { lowMs: 1000, medianMs: 3000 / 7, highMs: 9000, known: true };
  const question = { release: "v1", live: 7, allowed: 0 };
  let record = emptyForecastRecord();
  for (const atMs of [0, 10_000, 20_000]) record = remember(record, model, { ...question, atMs }, 60_000);
  return settle(record, 25_000, (trial) => (trial.atMs === 0 ? 4321.5 : undefined));
}

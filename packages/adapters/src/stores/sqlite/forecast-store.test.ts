import { expect, it } from "vitest";
import { emptyForecastRecord } from "@holdover/core";
import { forecastStoreConformance } from "@holdover/testkit/conformance/forecast-store";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { scratchStore } from "./scratch-store.ts";

const scratch = () => scratchStore(CONTROL_FILE, (file) => controlStoreOn(file, MAX_ENDED).forecasts);

forecastStoreConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratch();
  return { store, reopen: async () => reopen(), refuseWrites, close };
});

it("A record in a form that this version does not know is left out", async () => {
  const { store, database, close } = scratch();
  await store.save("rooms", emptyForecastRecord());
  database().sql.exec("UPDATE forecasts SET form = 99");
  expect(await store.load()).toEqual(new Map());
  await close();
});

import { expect, it } from "vitest";
import { tableCacheConformance } from "@holdover/testkit/conformance/table-cache";
import { HOST_FILE, hostStoreOn, MAX_EVENTS } from "./host-store.ts";
import { scratchStore } from "./scratch-store.ts";

const scratch = () => scratchStore(HOST_FILE, (file) => hostStoreOn(file, MAX_EVENTS).table);

tableCacheConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratch();
  return { cache: store, reopen: async () => reopen(), refuseWrites, close };
});

it("A table in a form that this version does not follow is no table", async () => {
  const { store, database, close } = scratch();
  store.save({ number: 1, services: [] });
  database().sql.exec(`UPDATE routing_table SET body = '{"number":1,"shards":[]}'`);
  expect(store.load()).toBeUndefined();
  await close();
});

it("A table that is no JSON was damaged, and is told so", async () => {
  const { store, database, file, close } = scratch();
  store.save({ number: 1, services: [] });
  database().sql.exec(`UPDATE routing_table SET body = '{"number":'`);
  expect(() => store.load()).toThrow(
    expect.objectContaining({ code: "STORE_CORRUPT", details: expect.objectContaining({ file }) }),
  );
  await close();
});

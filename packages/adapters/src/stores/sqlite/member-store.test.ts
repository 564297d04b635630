import { memberStoreConformance } from "@holdover/testkit/conformance/member-store";
import { expect, test } from "vitest";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { openDatabase } from "./database.ts";
import { scratchStore } from "./scratch-store.ts";

const openScratch = () => scratchStore(CONTROL_FILE, (file) => controlStoreOn(file, MAX_ENDED));

memberStoreConformance("SQLite", async () => {
  const open = openScratch();
  return {
    store: open.store.members,
    audit: open.store.audit,
    reopen: async () => open.reopen().members,
    refuseWrites: open.refuseWrites,
    close: open.close,
  };
});

test("a control database from before membership gets its tables, without a key, and keeps what it had", async () => {
  const scratch = openScratch();
  const file = `${scratch.file}.old`;
  const { format } = CONTROL_FILE;
  const old = openDatabase(file, { ...CONTROL_FILE, format: { ...format, steps: format.steps.slice(0, 3) } });
  old.sql.exec("INSERT INTO tokens VALUES ('ci', 'viewer', 'a0', 1, NULL)");
  old.close();
  const database = openDatabase(file, CONTROL_FILE);
  const store = controlStoreOn(database, MAX_ENDED);
  expect(await store.members.load()).toEqual({ epoch: 0, lastSerial: 0, keys: [], members: [] });
  expect(await store.tokens.list()).toHaveLength(1);
  database.close();
  await scratch.close();
});

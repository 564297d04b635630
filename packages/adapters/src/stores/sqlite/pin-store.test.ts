import { pinStoreConformance } from "@holdover/testkit/conformance/pin-store";
import { HOST_FILE, hostStoreOn, MAX_EVENTS } from "./host-store.ts";
import { scratchStore } from "./scratch-store.ts";

pinStoreConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratchStore(HOST_FILE, (file) => hostStoreOn(file, MAX_EVENTS).pins);
  return { store, reopen: async () => reopen(), refuseWrites, close };
});

import { releaseStoreConformance } from "@holdover/testkit/conformance/release-store";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { scratchStore } from "./scratch-store.ts";

releaseStoreConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratchStore(CONTROL_FILE, (file) => {
    const { releases, audit } = controlStoreOn(file, MAX_ENDED);
    return { store: releases, audit };
  });
  return { ...store, reopen: async () => reopen(), refuseWrites, close };
});

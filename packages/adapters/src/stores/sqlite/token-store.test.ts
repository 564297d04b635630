import { tokenStoreConformance } from "@holdover/testkit/conformance/token-store";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { scratchStore } from "./scratch-store.ts";

tokenStoreConformance("SQLite", async () => {
  const open = scratchStore(CONTROL_FILE, (file) => controlStoreOn(file, MAX_ENDED));
  return {
    store: open.store.tokens,
    audit: open.store.audit,
    reopen: async () => open.reopen().tokens,
    refuseWrites: open.refuseWrites,
    close: open.close,
  };
});

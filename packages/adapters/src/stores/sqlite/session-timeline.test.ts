import { sessionTimelineConformance } from "@holdover/testkit/conformance/session-timeline";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { scratchStore } from "./scratch-store.ts";

sessionTimelineConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratchStore(
    CONTROL_FILE,
    (file) => controlStoreOn(file, MAX_ENDED).timeline,
  );
  return { timeline: store, reopen: async () => reopen(), refuseWrites, close };
});

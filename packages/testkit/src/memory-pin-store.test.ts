import { HoldoverError } from "@holdover/core";
import { pinStoreConformance } from "./conformance/pin-store.ts";
import { MemoryPinStore } from "./memory-pin-store.ts";

pinStoreConformance("Memory", async () => {
  const store = new MemoryPinStore();
  return {
    store,
    // Its pins live as long as it does: a router that starts again finds the same one.
    reopen: async () => store,
    refuseWrites: async (refuse) => {
      const full = new HoldoverError("STORE_FAILED", { file: "memory", problem: "it is full" });
      store.before = refuse ? () => Promise.reject(full) : async () => {};
    },
    close: () => store.close(),
  };
});

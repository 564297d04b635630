import { HoldoverError } from "@holdover/core";
import { checkpointStoreConformance } from "./conformance/checkpoint-store.ts";
import { MemoryCheckpointStore } from "./memory-checkpoint-store.ts";

checkpointStoreConformance("Memory", async (quota) => {
  const store = new MemoryCheckpointStore(quota);
  return {
    store,
    second: store,
    // Its checkpoints live as long as it does: a process that starts again finds the same one.
    reopen: async () => store,
    refuseWrites: async (refuse) => {
      const full = new HoldoverError("STORE_FAILED", { file: "memory", problem: "it is full" });
      store.before = refuse ? () => Promise.reject(full) : async () => {};
    },
    close: async () => {},
  };
});

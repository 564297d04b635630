import { MemoryCheckpointStore } from "@holdover/testkit/memory-checkpoint-store";
import type { RouterOptions } from "../src/router.ts";
import { Membership } from "../src/workers/membership.ts";

/** For routers whose instances have no worker. */
export function noWorkers(): RouterOptions["workers"] {
  return {
    checkpoints: new MemoryCheckpointStore(),
    membership: new Membership({
      verify: () => false,
      authority: { issue: () => Promise.reject(new Error("nobody joins")), rejected: () => {} },
      host: "host",
      nowMs: () => 0,
      known: () => undefined,
      load: () => null,
    }),
    host: "host",
    drain: () => {},
  };
}

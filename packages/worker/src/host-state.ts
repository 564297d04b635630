import { checkQuota, CHECKPOINT_QUOTA, fromWireEntry, toWireEntry, wireCheckpoint } from "@holdover/core";
import { base64 } from "./base64.ts";
import type { HostLink } from "./host-link.ts";
import type { StateLink } from "./state-link.ts";

/** The state of sessions in the host's store. */
export function hostStateLink(
  link: Pick<HostLink, "call">,
  olderVersions: (format: string) => readonly number[],
): StateLink {
  return {
    open: async ({ key, fence }) => {
      const checkpoint = wireCheckpoint.parse(await link.call({ name: "state-open", key, fence }));
      if (!checkpoint) return undefined;
      return {
        fence: checkpoint.fence,
        entries: checkpoint.entries.map((entry) => fromWireEntry(entry, base64.decode)),
      };
    },
    write: async ({ service, key, fence, entries }) => {
      // What no store takes is not sent: it may be more than a line of the link holds.
      const sizes = new Map(entries.map(({ name, bytes }) => [name, bytes.byteLength]));
      checkQuota({ service, key, fence }, sizes, CHECKPOINT_QUOTA);
      await link.call({
        name: "state-write",
        key,
        fence,
        entries: entries.map((entry) => toWireEntry(entry, base64.encode)),
      });
    },
    olderVersions,
  };
}

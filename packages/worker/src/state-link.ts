import {
  checkedEntries,
  checkFence,
  checkQuota,
  CHECKPOINT_QUOTA,
  type Checkpoint,
  type CheckpointEntry,
  type CheckpointWrite,
  type SessionClaim,
} from "@holdover/core";

/** The way from a session's state to where it is stored. Every call settles, with a HoldoverError where it fails. */
export interface StateLink {
  /** Claims the session under its fence and reads its checkpoint, in one step. Retried by the link over a reconnect. */
  open(session: SessionClaim): Promise<Checkpoint | undefined>;
  /** Resolves when the entries are durable. Retried over a reconnect: the same write twice is the same as once. */
  write(write: CheckpointWrite): Promise<void>;
  /** Of a format the versions that releases of this service which still run read, and that are older than ours. */
  olderVersions(format: string): readonly number[];
}

/**
 * For a process that Holdover did not start, as on a developer's laptop: values live in this process, under the checks and
 * the quota of a real store.
 */
export function memoryStateLink(): StateLink {
  const sessions = new Map<string, { fence: number; readonly entries: Map<string, CheckpointEntry> }>();
  const idOf = ({ service, key }: SessionClaim): string => `${service}\n${key}`;
  return {
    open: async (session) => {
      const held = sessions.get(idOf(session));
      checkFence(session, held?.fence, "claim");
      if (held) held.fence = session.fence;
      else sessions.set(idOf(session), { fence: session.fence, entries: new Map() });
      if (!held || held.entries.size === 0) return undefined;
      return { fence: held.fence, entries: [...held.entries.values()].map(copyOf) };
    },
    write: async (write) => {
      const entries = checkedEntries(write, write.entries, CHECKPOINT_QUOTA);
      const held = sessions.get(idOf(write));
      checkFence(write, held?.fence, "write");
      if (!held) return;
      const after = new Map([...held.entries, ...entries]);
      checkQuota(write, new Map([...after].map(([name, { bytes }]) => [name, bytes.byteLength])), CHECKPOINT_QUOTA);
      for (const [name, entry] of entries) held.entries.set(name, copyOf(entry));
    },
    olderVersions: () => [],
  };
}

function copyOf({ name, format, version, bytes }: CheckpointEntry): CheckpointEntry {
  return { name, format, version, bytes: bytes.slice() };
}

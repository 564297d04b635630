import {
  checkedEntries,
  checkFence,
  checkQuota,
  CHECKPOINT_QUOTA,
  type Checkpoint,
  type CheckpointEntry,
  type CheckpointQuota,
  type CheckpointStore,
  type CheckpointWrite,
  type SessionClaim,
} from "@holdover/core";

interface Held {
  readonly service: string;
  fence: number;
  writtenFence: number;
  readonly entries: Map<string, CheckpointEntry>;
}

/** A checkpoint store without a disk. It passes the same conformance suite as the real ones, but for outliving its process. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #quota: CheckpointQuota;
  readonly #held = new Map<string, Held>();

  /** Replaced by a test that wants to hold up or fail what comes next. */
  before: () => Promise<void> = async () => {};

  constructor(quota: CheckpointQuota = CHECKPOINT_QUOTA) {
    this.#quota = quota;
  }

  async claim(session: SessionClaim): Promise<void> {
    await this.before();
    const held = this.#held.get(idOf(session.service, session.key));
    checkFence(session, held?.fence, "claim");
    if (held) held.fence = session.fence;
    else {
      const { service, fence } = session;
      this.#held.set(idOf(service, session.key), { service, fence, writtenFence: fence, entries: new Map() });
    }
  }

  async write(write: CheckpointWrite): Promise<void> {
    await this.before();
    const entries = checkedEntries(write, write.entries, this.#quota);
    const held = this.#held.get(idOf(write.service, write.key));
    checkFence(write, held?.fence, "write");
    if (!held) return;
    const after = new Map([...held.entries, ...entries]);
    checkQuota(write, new Map([...after].map(([name, { bytes }]) => [name, bytes.byteLength])), this.#quota);
    held.fence = write.fence;
    held.writtenFence = write.fence;
    for (const entry of entries.values()) held.entries.set(entry.name, copyOf(entry));
  }

  async read(service: string, key: string): Promise<Checkpoint | undefined> {
    const held = this.#held.get(idOf(service, key));
    if (!held || held.entries.size === 0) return undefined;
    return { fence: held.writtenFence, entries: [...held.entries.values()].map(copyOf) };
  }

  async remove(session: SessionClaim): Promise<void> {
    await this.before();
    const id = idOf(session.service, session.key);
    checkFence(session, this.#held.get(id)?.fence, "remove");
    this.#held.delete(id);
  }

  async sample(service: string, limit: number): Promise<CheckpointEntry[]> {
    const seen = new Set<string>();
    const first: CheckpointEntry[] = [];
    const others: CheckpointEntry[] = [];
    for (const held of this.#held.values()) {
      if (held.service !== service) continue;
      for (const entry of held.entries.values()) {
        const group = idOf(entry.format, String(entry.version));
        (seen.has(group) ? others : first).push(copyOf(entry));
        seen.add(group);
      }
    }
    return [...first, ...others].slice(0, limit);
  }
}

function copyOf(entry: CheckpointEntry): CheckpointEntry {
  return { ...entry, bytes: entry.bytes.slice() };
}

function idOf(service: string, key: string): string {
  return `${service}\n${key}`;
}

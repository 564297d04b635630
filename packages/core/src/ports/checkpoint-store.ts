import type { Checkpoint, CheckpointEntry, CheckpointWrite, SessionClaim } from "../checkpoint.ts";

/**
 * Where the critical state of sessions lives. One store serves all instances of a Holdover.
 *
 * A session is known here from its first claim until it is removed. Who has just been placed as its owner claims it, then
 * reads, then writes: after the claim nothing that an earlier owner still sends can come between.
 */
export interface CheckpointStore {
  /**
   * From now on the session belongs to this fence: what comes under an older one is refused, although nothing was written
   * under this one yet. The checkpoint stays as it is. The fence MUST be one that the pin store has given to the session
   * and has not ended: a store forgets the fences of a session that was removed.
   *
   * MUST be in force for every owner, and outlive a crash of this process, once the promise has resolved. Claiming under
   * the same fence again MUST change nothing.
   *
   * @throws HoldoverError CHECKPOINT_STALE where the store knows a higher fence, CHECKPOINT_INVALID, STORE_FAILED
   */
  claim(session: SessionClaim): Promise<void>;

  /**
   * Puts these entries into the session's checkpoint, all or none. Entries of other names stay; of two with one name the
   * last one counts. A fence above the known one is a claim as well. The bytes MUST NOT be changed by the caller before
   * the promise has settled, and the store MUST NOT keep them as its own after that.
   *
   * MUST refuse a fence below the known one, and any fence of a session that was removed or never claimed; also of two
   * owners that write at the same moment. What was refused, or failed, MUST change nothing, the known fence included.
   * MUST outlive a crash of this process once the promise has resolved.
   *
   * @throws HoldoverError CHECKPOINT_STALE, CHECKPOINT_TOO_LARGE, CHECKPOINT_INVALID, STORE_FAILED
   */
  write(write: CheckpointWrite): Promise<void>;

  /** The session's entries as they were last written; undefined where nothing was. Asks for no fence. */
  read(service: string, key: string): Promise<Checkpoint | undefined>;

  /**
   * The session has ended: its entries and its fence are forgotten. Of a session that is not known nothing is to do.
   * MUST NOT touch a session that was claimed under a higher fence.
   *
   * @throws HoldoverError CHECKPOINT_STALE, CHECKPOINT_INVALID, STORE_FAILED
   */
  remove(session: SessionClaim): Promise<void>;

  /**
   * Entries of a service's sessions for the gate, at most `limit`, without saying whose they are. MUST hold one of every
   * format and version that there is, as far as the limit goes: what an old release wrote is rare, and matters most.
   */
  sample(service: string, limit: number): Promise<CheckpointEntry[]>;
}

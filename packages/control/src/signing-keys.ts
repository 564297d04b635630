import {
  asHoldoverError,
  CERTIFICATE_MS,
  TRUSTED_KEYS_MOST,
  type AuditDraft,
  type Clock,
  type KeyRing,
  type Membership,
  type MemberStore,
  type Signer,
  type SigningKey,
  type Trust,
} from "@holdover/core";

/**
 * How long a key that was replaced goes on signing, ms: above the time of a certificate, so that none is in force that only
 * a forgotten key has signed, and above any absence of a router that is to follow by itself when it is back.
 */
const PHASE_OUT_MS = 24 * CERTIFICATE_MS;
/** A step that failed is tried again after this, ms. */
const AGAIN_MS = 60_000;

export interface SigningKeysOptions {
  readonly members: MemberStore;
  readonly keyRing: KeyRing;
  readonly clock: Clock;
  /** What others were last told to trust; null: nothing yet. */
  readonly published: Trust | null;
  /** Runs a change when no other runs. */
  readonly exclusive: <Value>(work: () => Promise<Value>) => Promise<Value>;
  /** What is stored now. It comes in one step with the keys that sign, so that no table has the epoch of one and the keys of the other. */
  readonly loaded: (membership: Membership) => void;
  /** A key was retired: whoever has to know is to be told. */
  readonly changed: () => Promise<void>;
  readonly log: { error(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** The keys of control, by name in the store and as files in the ring. */
export interface SigningKeys {
  /** The current one, then those that are being phased out, newest first. */
  signers(): readonly Signer[];
  /** Takes a new key; the one before is phased out. @throws HoldoverError KEY_UNREADABLE, STORE_FAILED; nothing has changed then */
  rotate(actor: string, reason: string): Promise<void>;
  close(): void;
}

/**
 * A rotation is made, stored, in force, and later over; the store says which. A file that it does not name is left from one
 * that was cut short before it was stored, or after it was over, and is removed here.
 *
 * @throws HoldoverError KEY_UNREADABLE where a key is gone; where all are, others take their place
 */
export async function openSigningKeys(options: SigningKeysOptions): Promise<SigningKeys> {
  const { members, keyRing, clock, log, published } = options;
  const stored = await members.load();
  let keys: readonly SigningKey[] = stored.keys;
  let signers: readonly Signer[] = [];
  let cancel = (): void => {};
  let closed = false;
  /** Retired keys of which nobody could be told yet. */
  let retired: readonly string[] = [];

  const load = async (signing: readonly Signer[]): Promise<void> => {
    const membership = await members.load();
    keys = membership.keys;
    signers = signing;
    options.loaded(membership);
  };

  /** Signs with a new key, and for a while with those before. */
  const take = async (
    entry: Pick<AuditDraft, "kind" | "actor" | "reason">,
    before: readonly Signer[],
  ): Promise<void> => {
    const signer = await keyRing.create();
    const { publicKey } = signer;
    const nowMs = clock.now();
    const phasedOut = before.map((old) => {
      const { sinceMs = nowMs, untilMs = null } = keys.find((key) => key.publicKey === old.publicKey) ?? {};
      return { publicKey: old.publicKey, sinceMs, untilMs: untilMs ?? nowMs + PHASE_OUT_MS };
    });
    const next = [{ publicKey, sinceMs: nowMs, untilMs: null }, ...phasedOut];
    const draft: AuditDraft = { ...entry, atMs: nowMs, detail: { publicKey } };
    // Where this fails the file stays: a store that is out of order may have it nonetheless. The next start knows.
    await members.setKeys(next, [draft], published?.epoch);
    await load([signer, ...before]);
  };

  /**
   * The store is older than what others trust: it was lost, or put back from a copy. They follow what the keys that they
   * know have signed, under an epoch above theirs.
   */
  const catchUp = async (published: Trust, present: readonly string[]): Promise<void> => {
    const reason = `the database of control is older than epoch ${published.epoch}, which was published`;
    const trusted = published.keys.filter((one) => present.includes(one)).slice(0, TRUSTED_KEYS_MOST - 1);
    await take({ kind: "key.rotated", actor: "control", reason }, await opened(trusted));
  };

  const opened = async (publicKeys: readonly string[]): Promise<Signer[]> => {
    const found: Signer[] = [];
    for (const publicKey of publicKeys) found.push(await keyRing.open(publicKey));
    return found;
  };

  /** A file that stays is a key that nobody trusts: it is told, and nothing waits for it. */
  const discard = async (publicKeys: readonly string[]): Promise<void> => {
    for (const publicKey of publicKeys) {
      await keyRing.remove(publicKey).catch((thrown: unknown) => {
        log.error({ err: asHoldoverError(thrown) }, "a signing key that is over could not be removed");
      });
    }
  };

  const isOver = ({ untilMs }: SigningKey): boolean => untilMs !== null && untilMs <= clock.now();

  /** Keys whose time is over sign no more, from the next table on. Their files go last. */
  const retire = async (): Promise<readonly string[]> => {
    const over = keys.filter(isOver);
    if (over.length === 0) return [];
    const left = keys.filter((key) => !isOver(key));
    const reason = "it was replaced, and its time is over";
    const entry = { atMs: clock.now(), kind: "key.retired", actor: "control", reason };
    const entries = over.map(({ publicKey }): AuditDraft => Object.assign({ detail: { publicKey } }, entry));
    await members.setKeys(left, entries);
    await load(signers.filter(({ publicKey }) => left.some((key) => key.publicKey === publicKey)));
    return over.map(({ publicKey }) => publicKey);
  };

  const retireInTime = async (): Promise<void> => {
    if (closed) return;
    try {
      retired = [...retired, ...(await retire())];
      if (retired.length > 0) await options.changed();
      await discard(retired);
      retired = [];
      wait();
    } catch (thrown) {
      log.error({ err: asHoldoverError(thrown) }, "the signing keys could not be brought up to date");
      wait(AGAIN_MS);
    }
  };

  const wait = (leastMs = 0): void => {
    cancel();
    const ends = keys.flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
    if (closed || (ends.length === 0 && leastMs === 0)) return;
    const nextMs = ends.length === 0 ? 0 : Math.min(...ends) - clock.now();
    cancel = clock.after(Math.max(nextMs, leastMs), () => void options.exclusive(retireInTime));
  };

  const present = await keyRing.list();
  if (published && published.epoch > stored.epoch) await catchUp(published, present);
  else if (!keys.some(({ publicKey }) => present.includes(publicKey))) {
    const gone = "the signing keys were gone: what they signed is not trusted any more";
    const reason = keys.length === 0 ? "the first signing key" : gone;
    await take({ kind: "key.created", actor: "control", reason }, []);
  } else await load(await opened(keys.map(({ publicKey }) => publicKey)));
  await retire();
  await discard(present.filter((one) => !keys.some(({ publicKey }) => publicKey === one)));
  wait();

  return {
    signers: () => signers,
    async rotate(actor, reason) {
      await take({ kind: "key.rotated", actor, reason }, signers);
      wait();
    },
    close() {
      closed = true;
      cancel();
    },
  };
}

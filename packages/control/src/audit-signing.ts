import {
  asHoldoverError,
  CHAIN_START,
  exportEnd,
  exportEntry,
  exportStart,
  HoldoverError,
  signHead,
  storedEntry,
  verifySignedHead,
  walkChain,
  type AuditEntry,
  type AuditHead,
  type AuditLog,
  type ChainWalk,
  type Clock,
  type Sha256,
  type SignedHead,
  type SignedHeads,
  type Signer,
  type VerifySignature,
} from "@holdover/core";
import { createHash } from "node:crypto";

/** How often a head that has moved is signed, in ms: what is cut off the chain within that time is not noticed. */
const SIGN_EVERY_MS = 60_000;
/** Entries that are read and held at once. */
const PAGE_ENTRIES = 500;

export interface AuditSigningOptions {
  readonly audit: AuditLog;
  readonly heads: SignedHeads;
  readonly signer: Signer;
  readonly verify: VerifySignature;
  readonly clock: Clock;
  readonly log: { error(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** Vouches for the audit log by signatures over its head. */
export interface AuditSigning {
  /** Signs the head as it is, and from now on whenever it has moved, once a minute at the most. Never throws. */
  start(): Promise<void>;
  /** Whether the head could not be signed when it was last to be. */
  isFailing(): boolean;
  /** Signs the head for the last time. Never throws. */
  stop(): Promise<void>;
  /**
   * Follows the whole chain, and through the head that was signed last.
   * @returns its end, and what was signed last; null where none could be signed yet
   * @throws HoldoverError AUDIT_BROKEN
   */
  verify(): Promise<{ readonly head: AuditHead; readonly signed: SignedHead | null }>;
  /**
   * The lines of an export, each with its newline; the chain is verified before the first.
   * @param untilSeq the last entry; null: the last there is
   * @throws HoldoverError REQUEST_INVALID where there are no such entries, AUDIT_BROKEN
   */
  export(afterSeq: number, untilSeq: number | null): Promise<AsyncGenerator<string>>;
}

/**
 * A head is signed only where the chain still goes through the one that was signed before. Else the signature would hide
 * what happened to the chain: the old one stays then, and every verify fails until somebody has looked.
 */
export function createAuditSigning({ audit, heads, signer, verify, clock, log }: AuditSigningOptions): AuditSigning {
  let signing: Promise<void> = Promise.resolve();
  let cancel = (): void => {};
  let signedOnce = false;
  let stopped = false;
  let told = "";
  let failing = false;

  async function lastSigned(): Promise<SignedHead | null> {
    const last = await heads.last();
    if (last) verifySignedHead(last, signer.publicKey, verify);
    else if (signedOnce) {
      throw new HoldoverError("AUDIT_BROKEN", { seq: 1, problem: "the head that was signed last is gone" });
    }
    return last;
  }

  async function signNow(): Promise<void> {
    const last = await lastSigned();
    const head = await audit.head();
    if (last && last.seq === head.seq && last.hash === head.hash) {
      signedOnce = true;
      return;
    }
    if (last) await follow(last, head);
    else await audit.verify();
    await heads.store(signHead(CHAIN_START, head, clock.now(), signer));
    signedOnce = true;
  }

  /** Follows the chain from a head that it had to the one it has. */
  async function follow(last: AuditHead, head: AuditHead): Promise<void> {
    if (last.seq > head.seq) walkChain(head, sha256, last).end(head);
    const from = last.seq === 0 ? CHAIN_START : await headAt(last.seq);
    if (from.hash !== last.hash) {
      throw new HoldoverError("AUDIT_BROKEN", {
        seq: last.seq,
        problem: "it is another one than when the head was signed",
      });
    }
    const walk = walkChain(from, sha256);
    for await (const _page of pages(walk, head.seq));
    walk.end(head);
  }

  async function headAt(seq: number): Promise<AuditHead> {
    const [entry] = await audit.read(seq - 1, 1);
    if (entry?.seq === seq) return { seq, hash: entry.hash };
    throw new HoldoverError("AUDIT_BROKEN", { seq, problem: "it is gone" });
  }

  /** The entries up to a number, page by page, each of them the next of the chain. */
  async function* pages(walk: ChainWalk, untilSeq: number): AsyncGenerator<readonly AuditEntry[]> {
    while (walk.at.seq < untilSeq) {
      const entries = await audit.read(walk.at.seq, Math.min(PAGE_ENTRIES, untilSeq - walk.at.seq));
      if (entries.length === 0)
        throw new HoldoverError("AUDIT_BROKEN", { seq: walk.at.seq + 1, problem: "it is gone" });
      for (const entry of entries) walk.take(storedEntry(entry));
      yield entries;
    }
  }

  /** One after the other: the second looks at what the first has stored. */
  function sign(): Promise<void> {
    signing = signing.then(signNow).then(
      () => {
        failing = false;
      },
      (thrown: unknown) => {
        const error = asHoldoverError(thrown);
        failing = true;
        // The same once a minute would tell nothing new.
        if (told !== error.message) log.error({ err: error }, "the head of the audit log was not signed");
        told = error.message;
      },
    );
    return signing;
  }

  function signAgain(): void {
    cancel = clock.after(SIGN_EVERY_MS, () => {
      void sign().then(() => {
        if (!stopped) signAgain();
      });
    });
  }

  async function verified(): Promise<{ head: AuditHead; signed: SignedHead | null }> {
    const signed = await lastSigned();
    return { head: await audit.verify(signed ?? CHAIN_START), signed };
  }

  return {
    async start() {
      await sign();
      signAgain();
    },
    isFailing: () => failing,
    async stop() {
      stopped = true;
      cancel();
      await sign();
    },
    verify: verified,
    async export(afterSeq, untilSeq) {
      const { head } = await verified();
      const end = untilSeq ?? head.seq;
      if (afterSeq > end || end > head.seq) {
        const range = afterSeq > end ? `after ${afterSeq} is past until ${end}` : `the last entry is ${head.seq}`;
        throw new HoldoverError("REQUEST_INVALID", { problem: `There are no such entries: ${range}.` });
      }
      const from = afterSeq === 0 ? CHAIN_START : await headAt(afterSeq);
      return lines(from, end);
    },
  };

  async function* lines(from: AuditHead, endSeq: number): AsyncGenerator<string> {
    yield `${exportStart(from)}\n`;
    const walk = walkChain(from, sha256);
    for await (const entries of pages(walk, endSeq)) yield entries.map((entry) => `${exportEntry(entry)}\n`).join("");
    yield `${exportEnd(signHead(from, walk.at, clock.now(), signer))}\n`;
  }
}

const sha256: Sha256 = (text) => createHash("sha256").update(text, "utf8").digest("hex");

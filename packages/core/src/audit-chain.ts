import { z } from "zod";
import { HoldoverError } from "./errors.ts";
import type { Signer, VerifySignature } from "./ports/signer.ts";

/** What is to be written into the audit log. */
export interface AuditDraft {
  readonly atMs: number;
  /** Noun and what became of it: `release.current`, `instance.lost`, `session.cut`. */
  readonly kind: string;
  /** Who wanted it: `operator`, `planner`, `host`, `control`. */
  readonly actor: string;
  readonly reason: string;
  readonly service?: string;
  readonly release?: string;
  readonly instance?: string;
  readonly session?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AuditEntry extends AuditDraft {
  /** 1 for the first, then without a gap. */
  readonly seq: number;
  readonly hash: string;
}

/** An entry as it is stored: the very text that was hashed, so that no reader has to make it again. */
export interface StoredAuditEntry {
  readonly seq: number;
  /** JSON of the {@link AuditDraft}. */
  readonly body: string;
  /** Lower-case hex of SHA-256 over `previous hash, newline, seq, newline, body`. */
  readonly hash: string;
}

/** Where a chain ends. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** SHA-256 of a text in UTF-8, as lower-case hex. */
export type Sha256 = (text: string) => string;

export const CHAIN_START: AuditHead = { seq: 0, hash: "0".repeat(64) };

export function nextEntry(head: AuditHead, draft: AuditDraft, sha256: Sha256): StoredAuditEntry {
  const seq = head.seq + 1;
  const body = JSON.stringify(draft);
  return { seq, body, hash: hashOf(head.hash, seq, body, sha256) };
}

/**
 * A head that control vouches for: the chain after `from` ended here then. Later chains have to go through it, so that
 * whoever rewrites or cuts the chain before it needs the key as well.
 */
export interface SignedHead extends AuditHead {
  /** {@link CHAIN_START} for the whole chain. */
  readonly from: AuditHead;
  readonly atMs: number;
  /** As a {@link Signer} names its key. */
  readonly publicKey: string;
  readonly signature: string;
}

const head = z.object({ seq: z.int().min(0), hash: z.string() });
const signedHead = head.extend({ from: head, atMs: z.number(), publicKey: z.string(), signature: z.string() });

/** @throws ZodError where the value is no head */
export function readHead(value: unknown): AuditHead {
  return head.parse(value);
}

/** @throws ZodError where the value is no signed head */
export function readSignedHead(value: unknown): SignedHead {
  return signedHead.parse(value);
}

export function signHead(from: AuditHead, { seq, hash }: AuditHead, atMs: number, signer: Signer): SignedHead {
  const unsigned = { from: { seq: from.seq, hash: from.hash }, seq, hash, atMs, publicKey: signer.publicKey };
  return { ...unsigned, signature: signer.sign(signedText(unsigned)) };
}

/**
 * @param publicKey the key that is trusted, whatever key the head itself names
 * @throws HoldoverError AUDIT_BROKEN
 */
export function verifySignedHead(head: SignedHead, publicKey: string, verify: VerifySignature): void {
  if (head.publicKey !== publicKey) {
    throw new HoldoverError("AUDIT_BROKEN", {
      seq: head.seq,
      problem: `the head was signed with the key ${head.publicKey} and not with ${publicKey}`,
    });
  }
  if (verify(publicKey, signedText(head), head.signature)) return;
  throw new HoldoverError("AUDIT_BROKEN", {
    seq: head.seq,
    problem: "the signature of the head is not that of its key",
  });
}

/** What is signed. The first line says what it is for: no signature over anything else passes for one over a head. */
function signedText({ from, seq, hash, atMs }: Omit<SignedHead, "signature">): string {
  return ["holdover audit head 1", from.seq, from.hash, seq, hash, atMs].join("\n");
}

/** Follows a chain entry by entry. */
export interface ChainWalk {
  /** Where it has come to. */
  readonly at: AuditHead;
  /** @throws HoldoverError AUDIT_BROKEN where the entry is not the next one of the chain */
  take(entry: StoredAuditEntry): void;
  /** @throws HoldoverError AUDIT_BROKEN where the chain does not end here, or did not go through `through` */
  end(head: AuditHead): AuditHead;
}

/**
 * @param from where the walk begins
 * @param through a head that the chain had once: it has to go through it, unless that was before `from`
 */
export function walkChain(from: AuditHead, sha256: Sha256, through: AuditHead = from): ChainWalk {
  let at: AuditHead = { seq: from.seq, hash: from.hash };
  return {
    get at() {
      return at;
    },
    take(entry) {
      const seq = at.seq + 1;
      if (entry.seq !== seq) {
        throw new HoldoverError("AUDIT_BROKEN", { seq, problem: `entry ${entry.seq} stands in its place` });
      }
      if (entry.hash !== hashOf(at.hash, seq, entry.body, sha256)) {
        throw new HoldoverError("AUDIT_BROKEN", { seq, problem: "it does not follow from the one before" });
      }
      if (seq === through.seq && entry.hash !== through.hash) {
        throw new HoldoverError("AUDIT_BROKEN", { seq, problem: "it is another one than when the head was signed" });
      }
      at = { seq, hash: entry.hash };
    },
    end(head) {
      if (at.seq !== head.seq || at.hash !== head.hash) {
        throw new HoldoverError("AUDIT_BROKEN", {
          seq: at.seq + 1,
          problem: `the chain should end at entry ${head.seq} and ends at ${at.seq}`,
        });
      }
      if (at.seq < through.seq) {
        throw new HoldoverError("AUDIT_BROKEN", {
          seq: at.seq + 1,
          problem: `the chain went up to entry ${through.seq} when its head was signed, and ends at ${at.seq}`,
        });
      }
      return at;
    },
  };
}

/**
 * Follows a chain from its first entry to its head.
 * @param through a head that the chain had once
 * @throws HoldoverError AUDIT_BROKEN where an entry was edited, removed, put elsewhere, or cut off at the end
 */
export function verifyChain(
  entries: Iterable<StoredAuditEntry>,
  head: AuditHead,
  sha256: Sha256,
  through: AuditHead = CHAIN_START,
): AuditHead {
  const walk = walkChain(CHAIN_START, sha256, through);
  for (const entry of entries) walk.take(entry);
  return walk.end(head);
}

export function readEntry(stored: StoredAuditEntry): AuditEntry {
  return { ...(JSON.parse(stored.body) as AuditDraft), seq: stored.seq, hash: stored.hash };
}

/** The opposite of {@link readEntry}: JSON keeps the order of fields, so the text is the one that was hashed. */
export function storedEntry({ seq, hash, ...draft }: AuditEntry): StoredAuditEntry {
  return { seq, hash, body: JSON.stringify(draft) };
}

function hashOf(previous: string, seq: number, body: string, sha256: Sha256): string {
  return sha256(`${previous}\n${seq}\n${body}`);
}

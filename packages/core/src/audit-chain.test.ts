import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../test/sample-service.ts";
import {
  CHAIN_START,
  nextEntry,
  readEntry,
  verifyChain,
  type AuditDraft,
  type StoredAuditEntry,
} from "./audit-chain.ts";

const sha256 = (text: string) => createHash("sha256").update(text, "utf8").digest("hex");

const draft: fc.Arbitrary<AuditDraft> = fc.record(
  {
    atMs: fc.nat(),
    kind: fc.constantFrom("release.current", "instance.lost", "session.cut"),
    actor: fc.constantFrom("operator", "planner", "host"),
    reason: fc.string({ unit: "binary", maxLength: 20 }),
    service: fc.constantFrom("rooms", "chat"),
    session: fc.string({ maxLength: 8 }),
    detail: fc.dictionary(fc.constantFrom("count", "how"), fc.oneof(fc.nat(), fc.string(), fc.boolean())),
  },
  { requiredKeys: ["atMs", "kind", "actor", "reason"] },
);
const drafts = fc.array(draft, { minLength: 1, maxLength: 8 });

function chainOf(drafts: readonly AuditDraft[]): StoredAuditEntry[] {
  const chain: StoredAuditEntry[] = [];
  for (const one of drafts) chain.push(nextEntry(chain.at(-1) ?? CHAIN_START, one, sha256));
  return chain;
}

const broken = (entries: readonly StoredAuditEntry[], whole: readonly StoredAuditEntry[]) =>
  codeOf(() => verifyChain(entries, whole.at(-1) ?? CHAIN_START, sha256));

describe("rule 7: the audit chain verifies, and tells of every change to it", () => {
  test("a chain that nobody touched verifies, and returns its head", () => {
    fc.assert(
      fc.property(drafts, (drafts) => {
        const chain = chainOf(drafts);
        const head = chain.at(-1);
        expect(verifyChain(chain, head ?? CHAIN_START, sha256)).toEqual({ seq: chain.length, hash: head?.hash });
      }),
    );
  });

  test("an edit of any entry's text, number or hash is found", () => {
    const edit = fc.oneof(
      fc.record({ body: fc.string({ maxLength: 20 }) }),
      fc.record({ seq: fc.integer({ min: -1, max: 20 }) }),
      fc.record({ hash: fc.stringMatching(/^[0-9a-f]{64}$/) }),
      fc.record({ rehashed: fc.constant(true), body: fc.string({ maxLength: 20 }) }),
    );
    fc.assert(
      fc.property(drafts, fc.nat(), edit, (drafts, pick, edit) => {
        const chain = chainOf(drafts);
        const at = pick % chain.length;
        const before = chain[at] as StoredAuditEntry;
        const { rehashed, ...fields } = { rehashed: false, ...edit };
        let after = { ...before, ...fields };
        fc.pre(JSON.stringify(after) !== JSON.stringify(before));
        if (rehashed) {
          const previous = chain[at - 1]?.hash ?? CHAIN_START.hash;
          after = { ...after, hash: sha256(`${previous}\n${after.seq}\n${after.body}`) };
        }
        expect(broken(chain.with(at, after), chain)).toBe("AUDIT_BROKEN");
      }),
    );
  });

  test("a removal of any entries, at the start, inside or at the end, is found", () => {
    fc.assert(
      fc.property(drafts, fc.infiniteStream(fc.boolean()), (drafts, keep) => {
        const chain = chainOf(drafts);
        const left = chain.filter(() => keep.next().value === true);
        fc.pre(left.length < chain.length);
        expect(broken(left, chain)).toBe("AUDIT_BROKEN");
      }),
    );
  });

  test("two entries that changed places are found", () => {
    fc.assert(
      fc.property(drafts, fc.nat(), fc.nat(), (drafts, one, other) => {
        const chain = chainOf(drafts);
        const [a, b] = [one % chain.length, other % chain.length];
        fc.pre(a !== b);
        const swapped = chain.with(a, chain[b] as StoredAuditEntry).with(b, chain[a] as StoredAuditEntry);
        const renumbered = swapped.map((entry, index) => ({ ...entry, seq: index + 1 }));
        expect(broken(swapped, chain)).toBe("AUDIT_BROKEN");
        expect(broken(renumbered, chain)).toBe("AUDIT_BROKEN");
      }),
    );
  });

  test("an entry that was put in, or one entry more than the head knows, is found", () => {
    fc.assert(
      fc.property(drafts, draft, fc.nat(), (drafts, extra, pick) => {
        const chain = chainOf(drafts);
        const at = pick % (chain.length + 1);
        const forged = nextEntry(chain[at - 1] ?? CHAIN_START, extra, sha256);
        expect(broken(chain.toSpliced(at, 0, forged), chain)).toBe("AUDIT_BROKEN");
      }),
    );
  });

  test("a chain written anew from any entry on is found by its head", () => {
    fc.assert(
      fc.property(drafts, fc.nat(), (drafts, pick) => {
        const chain = chainOf(drafts);
        const at = pick % drafts.length;
        const original = drafts[at] as AuditDraft;
        const rewritten = chainOf(drafts.with(at, { ...original, reason: `${original.reason}!` }));
        expect(verifyChain(rewritten, rewritten.at(-1) ?? CHAIN_START, sha256).seq).toBe(chain.length);
        expect(broken(rewritten, chain)).toBe("AUDIT_BROKEN");
      }),
    );
  });

  test("the break is named by the number of the first entry that is wrong", () => {
    const chain = chainOf([1, 2, 3].map((atMs) => ({ atMs, kind: "instance.lost", actor: "host", reason: "exit" })));
    const [first, second, third] = chain as [StoredAuditEntry, StoredAuditEntry, StoredAuditEntry];
    const messageOf = (entries: StoredAuditEntry[]) => {
      try {
        verifyChain(entries, third, sha256);
      } catch (thrown) {
        return thrown instanceof Error ? thrown.message : "";
      }
      return "it verified";
    };
    expect(messageOf([first, { ...second, body: "{}" }, third])).toBe(
      "The audit chain is broken at entry 2: it does not follow from the one before",
    );
    expect(messageOf([first, third])).toBe("The audit chain is broken at entry 2: entry 3 stands in its place");
    expect(messageOf([first, second])).toBe(
      "The audit chain is broken at entry 3: the chain should end at entry 3 and ends at 2",
    );
  });

  test("an empty chain ends where every chain starts", () => {
    expect(verifyChain([], CHAIN_START, sha256)).toEqual({ seq: 0, hash: "0".repeat(64) });
  });
});

test("an entry reads back as what was written, with its number and hash", () => {
  fc.assert(
    fc.property(draft, (draft) => {
      const stored = nextEntry({ seq: 41, hash: "ab" }, draft, sha256);
      expect(stored.hash).toBe(sha256(`ab\n42\n${stored.body}`));
      expect(readEntry(stored)).toEqual({
        ...(JSON.parse(JSON.stringify(draft)) as AuditDraft),
        seq: 42,
        hash: stored.hash,
      });
    }),
  );
});

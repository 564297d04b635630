import { createHash } from "node:crypto";
import {
  CHAIN_START,
  isSought,
  storedEntry,
  verifyChain,
  type AuditDraft,
  type AuditEntry,
  type AuditFilter,
  type AuditLog,
} from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh, empty log. */
export interface OpenedAuditLog {
  readonly log: AuditLog;
  /** The log as control finds it that starts again. The one before is closed. */
  reopen(): Promise<AuditLog>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

interface Place {
  readonly kind: string;
  readonly service: string | undefined;
  readonly release: string | undefined;
  readonly session: string | undefined;
}

/** What every {@link AuditLog} keeps to. How it finds what was tampered with is for each store's own tests. */
export function auditLogConformance(name: string, open: () => Promise<OpenedAuditLog>): void {
  describe(`${name} as an AuditLog`, () => {
    let opened: OpenedAuditLog;
    let log: AuditLog;
    beforeEach(async () => {
      opened = await open();
      log = opened.log;
    });
    afterEach(() => opened.close());

    it("is at the start of the chain before anything is appended", async () => {
      expect(await log.head()).toEqual(CHAIN_START);
      expect(await log.verify()).toEqual(CHAIN_START);
      expect(await log.read(0, 10)).toEqual([]);
      expect(await log.tail(10)).toEqual([]);
    });

    it("stores all drafts of an append in their order, numbered from 1 without a gap", async () => {
      await log.append([draft("a"), draft("b")]);
      await log.append([draft("c")]);
      const entries = await log.read(0, 10);
      expect(entries).toMatchObject([draft("a"), draft("b"), draft("c")]);
      expect(entries.map((entry) => entry.seq)).toEqual([1, 2, 3]);
    });

    it("gives back a draft with every field as it was", async () => {
      const full: AuditDraft = {
        atMs: 1_700_000_000_123,
        kind: "session.cut",
        actor: "operator",
        reason: 'said "now"\nand meant it — 再见 🎲',
        service: "chat",
        release: "v1",
        instance: "chat-v1-1",
        session: "room-1",
        detail: { connections: 3, forced: true, note: null, text: "" },
      };
      await log.append([full]);
      expect(await log.tail(1)).toEqual([{ ...full, seq: 1, hash: (await log.head()).hash }]);
    });

    it("chains every entry to the one before by the hash that core lays down", async () => {
      await log.append([draft("a"), draft("b"), draft("c")]);
      const stored = (await log.read(0, 10)).map(({ seq, hash, ...entry }) => ({
        seq,
        hash,
        body: JSON.stringify(entry),
      }));
      expect(verifyChain(stored, await log.head(), sha256)).toEqual(await log.head());
    });

    it("gives back entries whose stored text can be made again", async () => {
      const body = JSON.stringify({
        reason: "the order is another",
        kind: "a",
        atMs: 1,
        actor: "x",
        detail: { b: 1, a: 2 },
      });
      await log.append([JSON.parse(body) as AuditDraft]);
      expect((await log.read(0, 1)).map(storedEntry)).toMatchObject([{ seq: 1, body }]);
    });

    it("verifies through a head that it had, and through no other", async () => {
      await log.append([draft("a"), draft("b")]);
      const had = await log.head();
      await log.append([draft("c")]);
      expect((await log.verify(had)).seq).toBe(3);
      const broken = { code: "AUDIT_BROKEN" };
      await expect(log.verify({ ...had, hash: "0".repeat(64) })).rejects.toMatchObject({
        ...broken,
        details: { seq: 2 },
      });
      await expect(log.verify({ ...had, seq: 9 })).rejects.toMatchObject({ ...broken, details: { seq: 4 } });
    });

    it("has its head at the last entry, and verifies", async () => {
      await log.append([draft("a"), draft("b")]);
      const [last] = await log.tail(1);
      expect(await log.head()).toEqual({ seq: 2, hash: last?.hash });
      expect(await log.verify()).toEqual(await log.head());
    });

    it("reads after a number, oldest first, and no more than asked for", async () => {
      await log.append(["a", "b", "c", "d"].map(draft));
      expect(kinds(await log.read(1, 2))).toEqual(["b", "c"]);
      expect(kinds(await log.read(3, 10))).toEqual(["d"]);
      expect(await log.read(4, 10)).toEqual([]);
      expect(await log.read(0, 0)).toEqual([]);
    });

    it("has a tail of the last entries, oldest first", async () => {
      await log.append(["a", "b", "c"].map(draft));
      expect(kinds(await log.tail(2))).toEqual(["b", "c"]);
      expect(kinds(await log.tail(10))).toEqual(["a", "b", "c"]);
      expect(await log.tail(0)).toEqual([]);
    });

    describe("with a filter", () => {
      const drafts = combinations<Place>({
        kind: ["release.current", "release.retired", "releases.x", "session.cut", "odd"],
        service: ["chat", "game", undefined],
        release: ["v1", "v2", undefined],
        session: ["room", "ROOM", undefined],
      }).map(draftOf);
      const filters: readonly AuditFilter[] = combinations({
        service: [undefined, "chat", "nobody"],
        release: [undefined, "v2"],
        session: [undefined, "room"],
        kinds: [
          undefined,
          [],
          ["release."],
          ["release.retired"],
          ["odd", "session.", "release.current", "release.current", "nothing.of-that"],
        ],
        sinceMs: [undefined, 60, 120, 1000],
      });

      it("gives the first entries after a number and the last ones that are sought, and no others", async () => {
        await log.append(drafts);
        const all = await log.read(0, 1000);
        for (const filter of filters) {
          const sought = all.filter((entry) => isSought(entry, filter));
          expect(await log.read(0, 1000, filter)).toEqual(sought);
          expect(await log.read(40, 3, filter)).toEqual(sought.filter(({ seq }) => seq > 40).slice(0, 3));
          expect(await log.tail(3, filter)).toEqual(sought.slice(-3));
        }
        expect(await log.tail(0, { service: "chat" })).toEqual([]);
      });

      it("finds what was appended last, and after it was opened anew", async () => {
        await log.append([draft("release.current")]);
        await log.append([draft("release.retired")]);
        expect(kinds(await log.tail(5, { kinds: ["release."] }))).toEqual(["release.current", "release.retired"]);
        log = await opened.reopen();
        expect(kinds(await log.tail(5, { service: "chat" }))).toEqual(["release.current", "release.retired"]);
      });
    });

    it("keeps one chain when many append at once", async () => {
      await Promise.all(Array.from({ length: 20 }, (_, index) => log.append([draft(`a${index}`), draft(`b${index}`)])));
      expect((await log.verify()).seq).toBe(40);
      const entries = kinds(await log.read(0, 100));
      for (let index = 0; index < 20; index += 1) {
        expect(entries[entries.indexOf(`a${index}`) + 1]).toBe(`b${index}`);
      }
    });

    it("goes on with the chain where it was left", async () => {
      await log.append([draft("a")]);
      const before = await log.head();
      log = await opened.reopen();
      expect(await log.head()).toEqual(before);
      await log.append([draft("b")]);
      expect((await log.verify()).seq).toBe(2);
    });

    it("stores none of an append that cannot be written, and calls nobody", async () => {
      await log.append([draft("a")]);
      const head = await log.head();
      const heard: string[] = [];
      log.subscribe((entries) => heard.push(...kinds(entries)));
      await opened.refuseWrites(true);
      await expect(log.append([draft("b"), draft("c")])).rejects.toMatchObject({ code: "STORE_FAILED" });
      await opened.refuseWrites(false);
      expect(await log.verify()).toEqual(head);
      expect(heard).toEqual([]);
      await log.append([draft("d")]);
      expect(heard).toEqual(["d"]);
      expect((await log.verify()).seq).toBe(2);
    });

    describe("subscribe", () => {
      it("calls back after every append with the new entries, and does not before they are stored", async () => {
        const calls: { readonly entries: readonly AuditEntry[]; readonly stored: Promise<AuditEntry[]> }[] = [];
        log.subscribe((entries) => calls.push({ entries, stored: log.read(0, 100) }));
        await log.append([draft("a"), draft("b")]);
        await log.append([draft("c")]);
        expect(calls.map(({ entries }) => kinds(entries))).toEqual([["a", "b"], ["c"]]);
        for (const { entries, stored } of calls) expect(await stored).toEqual(expect.arrayContaining([...entries]));
        expect(calls.flatMap(({ entries }) => entries)).toEqual(await log.read(0, 100));
      });

      it("calls nobody for an append of nothing", async () => {
        let calls = 0;
        log.subscribe(() => (calls += 1));
        await log.append([]);
        expect(calls).toBe(0);
        expect(await log.head()).toEqual(CHAIN_START);
      });

      it("ends by what it returned, for that listener alone", async () => {
        const heard: string[] = [];
        const listener = (entries: readonly AuditEntry[]): number => heard.push(...kinds(entries));
        const endFirst = log.subscribe(listener);
        log.subscribe(listener);
        endFirst();
        endFirst();
        await log.append([draft("a")]);
        expect(heard).toEqual(["a"]);
      });

      it("keeps a listener that throws from hurting the append and the other listeners", async () => {
        const heard: string[] = [];
        log.subscribe(() => {
          throw new Error("a listener's own fault, thrown on purpose by this test");
        });
        log.subscribe((entries) => heard.push(...kinds(entries)));
        await log.append([draft("a")]);
        await log.append([draft("b")]);
        expect(heard).toEqual(["a", "b"]);
      });

      it("tells all listeners in the order of the chain, also when one of them appends", async () => {
        const heard: string[] = [];
        let answered: Promise<void> | undefined;
        log.subscribe((entries) => {
          if (kinds(entries).includes("question")) answered = log.append([draft("answer")]);
        });
        log.subscribe((entries) => heard.push(...kinds(entries)));
        await log.append([draft("question")]);
        await answered;
        expect(heard).toEqual(["question", "answer"]);
        expect((await log.verify()).seq).toBe(2);
      });
    });
  });
}

function draft(kind: string): AuditDraft {
  return { atMs: 1_700_000_000_000, kind, actor: "planner", reason: "a test wanted it", service: "chat" };
}

/** Some tell of what was before the last entry. */
function draftOf(place: Place, index: number): AuditDraft {
  const { kind, service, release, session } = place;
  return {
    kind,
    actor: "planner",
    reason: "a test wanted it",
    atMs: index + ((index * 7) % 20),
    ...(service !== undefined && { service }),
    ...(release !== undefined && { release }),
    ...(session !== undefined && { session }),
  };
}

/** Every choice of one value for each name. */
function combinations<Choice extends object>(of: {
  readonly [Name in keyof Choice]: readonly Choice[Name][];
}): Choice[] {
  let all: Partial<Choice>[] = [{}];
  for (const name of Object.keys(of) as (keyof Choice)[]) {
    all = all.flatMap((one) => of[name].map((value) => Object.assign({ [name]: value }, one)));
  }
  return all as Choice[];
}

function kinds(entries: readonly AuditEntry[]): string[] {
  return entries.map((entry) => entry.kind);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

import type { AuditDraft, AuditLog, JoinToken, Member, MemberStore, SigningKey } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh store without a key, a token or a member. */
export interface OpenedMemberStore {
  readonly store: MemberStore;
  /** Where its entries go. */
  readonly audit: Pick<AuditLog, "tail">;
  /** The store as control finds it that starts again. The one before is closed. */
  reopen(): Promise<MemberStore>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

const INSTANCE = "rooms.v1-1";
const OTHER = "rooms.v1-2";

/** What every {@link MemberStore} keeps to. */
export function memberStoreConformance(name: string, open: () => Promise<OpenedMemberStore>): void {
  describe(`${name} as a MemberStore`, () => {
    let opened: OpenedMemberStore;
    let store: MemberStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());
    const kinds = async () => (await opened.audit.tail(100)).map(({ kind }) => kind);

    async function joined(instance: string, key: string, fields: Partial<Member> = {}): Promise<Member> {
      const one = member(instance, key, fields);
      await store.invite(token(`digest of ${instance}`, instance));
      expect(await store.join(`digest of ${instance}`, one, [draft("worker.joined")])).toBe("joined");
      return one;
    }

    it("begins with epoch 0 and nothing else", async () => {
      expect(await store.load()).toEqual({ epoch: 0, lastSerial: 0, keys: [], members: [] });
      expect(await store.invitation("a0")).toBeNull();
    });

    it("gives a token back as it was, and tells who used it", async () => {
      const one = token("a0", INSTANCE, { expiresAtMs: 2.5 });
      await store.invite(one);
      expect(await store.invitation("a0")).toEqual({ token: one, usedBy: null });
      expect(await store.join("a0", member(INSTANCE, "k1"), [draft("worker.joined")])).toBe("joined");
      expect(await store.invitation("a0")).toEqual({ token: one, usedBy: "k1" });
    });

    it("has one token of an instance that nobody has used: the last", async () => {
      await store.invite(token("a0", INSTANCE));
      await store.invite(token("b0", OTHER));
      await store.invite(token("a1", INSTANCE));
      expect(await store.invitation("a0")).toBeNull();
      expect(await store.invitation("a1")).not.toBeNull();
      expect(await store.invitation("b0")).not.toBeNull();
    });

    it("lets one of two win that come with the same token at the same moment", async () => {
      await store.invite(token("a0", INSTANCE));
      const join = (key: string) => store.join("a0", member(INSTANCE, key), [draft(`worker.joined ${key}`)]);
      const outcomes = await Promise.all(["k1", "k2", "k3"].map(join));
      expect(outcomes.toSorted()).toEqual(["joined", "taken", "taken"]);
      const winner = `k${outcomes.indexOf("joined") + 1}`;
      expect((await store.load()).members.map(({ publicKey }) => publicKey)).toEqual([winner]);
      expect(await kinds()).toEqual([`worker.joined ${winner}`]);
    });

    it("lets the same key use its token again, with the next certificate and without an entry", async () => {
      const first = await joined(INSTANCE, "k1", { serial: 1, untilMs: 10, joinedAtMs: 1 });
      const again = { ...first, serial: 2, untilMs: 20, joinedAtMs: 9 };
      expect(await store.join(`digest of ${INSTANCE}`, again, [draft("again")])).toBe("again");
      expect(await store.load()).toMatchObject({
        lastSerial: 2,
        members: [{ ...first, serial: 2, untilMs: 20 }],
      });
      expect(await kinds()).toEqual(["worker.joined"]);
    });

    it("takes no second key for an instance, by another token neither", async () => {
      const first = await joined(INSTANCE, "k1");
      await store.invite(token("c0", INSTANCE));
      expect(await store.join("c0", member(INSTANCE, "k2"), [draft("second")])).toBe("taken");
      expect((await store.load()).members).toEqual([first]);
      expect(await store.join("none", member(OTHER, "k2"), [draft("second")])).toBe("none");
      expect(await kinds()).toEqual(["worker.joined"]);
    });

    it("keeps a token used for as long as it has it, and for its own instance", async () => {
      await joined(INSTANCE, "k1", { untilMs: 10 });
      expect(await store.join(`digest of ${INSTANCE}`, member(OTHER, "k1"), [draft("other")])).toBe("none");
      await store.forget({ tokensMs: 0, membersMs: 20 });
      expect(await store.join(`digest of ${INSTANCE}`, member(INSTANCE, "k2"), [draft("second")])).toBe("taken");
      expect((await store.load()).members).toEqual([]);
      expect(await kinds()).toEqual(["worker.joined"]);
    });

    it("stores the next certificate of a member, and of nobody else", async () => {
      await joined(OTHER, "k2", { serial: 7 });
      const first = await joined(INSTANCE, "k1", { serial: 8 });
      expect(await store.renew(INSTANCE, { serial: 9, untilMs: 99.5 })).toBe(true);
      expect(await store.renew("rooms.v9-9", { serial: 10, untilMs: 100 })).toBe(false);
      const { lastSerial, members } = await store.load();
      expect(lastSerial).toBe(9);
      expect(members.map(({ instance }) => instance)).toEqual([INSTANCE, OTHER]);
      expect(members[0]).toEqual({ ...first, serial: 9, untilMs: 99.5 });
    });

    it("revokes once, raises the epoch with it, and renews no more", async () => {
      const first = await joined(INSTANCE, "k1");
      expect(await store.revoke(INSTANCE, 5, [draft("worker.revoked")])).toBe(true);
      expect(await store.revoke(INSTANCE, 6, [draft("again")])).toBe(false);
      expect(await store.renew(INSTANCE, { serial: 9, untilMs: 9 })).toBe(false);
      expect(await store.load()).toMatchObject({ epoch: 1, members: [{ ...first, revokedAtMs: 5 }] });
      expect(await store.invitation(`digest of ${INSTANCE}`)).toBeNull();
      expect(await kinds()).toEqual(["worker.joined", "worker.revoked"]);
    });

    it("revokes an instance that has not joined yet by taking its token away", async () => {
      await store.invite(token("a0", INSTANCE));
      expect(await store.revoke(OTHER, 5, [draft("other")])).toBe(false);
      expect(await store.revoke(INSTANCE, 5, [draft("worker.revoked")])).toBe(true);
      expect(await store.join("a0", member(INSTANCE, "k1"), [draft("worker.joined")])).toBe("none");
      expect((await store.load()).epoch).toBe(1);
      expect(await kinds()).toEqual(["worker.revoked"]);
    });

    it("replaces the keys, in their order, and raises the epoch with them", async () => {
      const [old, now, later] = [key("z", { untilMs: 2.5 }), key("a"), key("m")];
      await store.setKeys([old], [draft("key.created")]);
      await store.setKeys([now, old], [draft("key.rotated")]);
      expect(await store.load()).toMatchObject({ epoch: 2, keys: [now, old] });
      await store.setKeys([later, now], []);
      expect(await store.load()).toMatchObject({ epoch: 3, keys: [later, now] });
      expect(await kinds()).toEqual(["key.created", "key.rotated"]);
      await store.setKeys([later], [], 9);
      expect((await store.load()).epoch).toBe(10);
      await store.setKeys([now], [], 4);
      expect((await store.load()).epoch).toBe(11);
    });

    it("forgets what is over, and nothing that ends at that moment or later", async () => {
      await store.invite(token("a0", "rooms.v1-7", { expiresAtMs: 9 }));
      await store.invite(token("b0", "rooms.v1-8", { expiresAtMs: 10 }));
      await joined(INSTANCE, "k1", { untilMs: 19, serial: 5 });
      const kept = await joined(OTHER, "k2", { untilMs: 20, serial: 4 });
      await store.forget({ tokensMs: 10, membersMs: 20 });
      expect(await store.invitation("a0")).toBeNull();
      expect(await store.invitation("b0")).not.toBeNull();
      // The number of a certificate is never given twice, although the one that had it is forgotten.
      expect(await store.load()).toMatchObject({ lastSerial: 5, members: [kept] });
      await store.forget({ tokensMs: 0, membersMs: 1e9 }, [OTHER, "rooms.v9-9"]);
      expect((await store.load()).members).toEqual([kept]);
      await store.forget({ tokensMs: 0, membersMs: 1e9 }, ["rooms.v9-9"]);
      expect((await store.load()).members).toEqual([]);
    });

    it("has all of it after it was opened again", async () => {
      await store.setKeys([key("a"), key("b", { untilMs: 7 })], []);
      await joined(INSTANCE, "k1", { serial: 3 });
      await joined(OTHER, "k2", { serial: 4 });
      await store.revoke(OTHER, 6, []);
      await store.invite(token("c0", "rooms.v1-3"));
      const before = await store.load();
      store = await opened.reopen();
      expect(await store.load()).toEqual(before);
      expect(await store.invitation("c0")).toEqual({ token: token("c0", "rooms.v1-3"), usedBy: null });
    });

    it("changes nothing where it cannot write", async () => {
      await store.setKeys([key("a")], []);
      await joined(INSTANCE, "k1");
      await store.invite(token("c0", OTHER));
      const before = await store.load();
      await opened.refuseWrites(true);
      const changes = [
        () => store.invite(token("d0", OTHER)),
        () => store.join("c0", member(OTHER, "k2"), [draft("joined")]),
        () => store.renew(INSTANCE, { serial: 9, untilMs: 9 }),
        () => store.revoke(INSTANCE, 9, [draft("revoked")]),
        () => store.setKeys([key("b"), key("a")], [draft("rotated")]),
        () => store.forget({ tokensMs: 1e9, membersMs: 1e9 }),
      ];
      for (const change of changes) await expect(change()).rejects.toMatchObject({ code: "STORE_FAILED" });
      await opened.refuseWrites(false);
      expect(await store.load()).toEqual(before);
      expect(await store.invitation("c0")).toEqual({ token: token("c0", OTHER), usedBy: null });
      expect(await kinds()).toEqual(["worker.joined"]);
    });
  });
}

function token(digest: string, instance: string, fields: Partial<JoinToken> = {}): JoinToken {
  return { digest, instance, service: "rooms", release: "v1", expiresAtMs: 100, ...fields };
}

function member(instance: string, publicKey: string, fields: Partial<Member> = {}): Member {
  return {
    instance,
    service: "rooms",
    release: "v1",
    publicKey,
    joinedAtMs: 1,
    serial: 1,
    untilMs: 50,
    revokedAtMs: null,
    ...fields,
  };
}

function key(publicKey: string, fields: Partial<SigningKey> = {}): SigningKey {
  return { publicKey, sinceMs: 1, untilMs: null, ...fields };
}

function draft(kind: string): AuditDraft {
  return { atMs: 1, kind, actor: "operator", reason: "a test wanted it" };
}

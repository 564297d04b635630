import type { ApiToken, AuditDraft, AuditLog, TokenStore } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh store without a token. */
export interface OpenedTokenStore {
  readonly store: TokenStore;
  /** Where its entries go. */
  readonly audit: Pick<AuditLog, "tail">;
  /** The store as control finds it that starts again. The one before is closed. */
  reopen(): Promise<TokenStore>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link TokenStore} keeps to. */
export function tokenStoreConformance(name: string, open: () => Promise<OpenedTokenStore>): void {
  describe(`${name} as a TokenStore`, () => {
    let opened: OpenedTokenStore;
    let store: TokenStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());
    const kinds = async () => (await opened.audit.tail(100)).map(({ kind }) => kind);

    it("gives back what was created, by name, with every field as it was", async () => {
      const tokens = [token("ci", { expiresAtMs: null }), token("ana", { role: "viewer" })] as const;
      for (const one of tokens) expect(await store.create(one, [draft("token.created")])).toBe(true);
      expect(await store.list()).toEqual([tokens[1], tokens[0]]);
      expect(await kinds()).toEqual(["token.created", "token.created"]);
    });

    it("keeps the token of a name that is taken, and tells of no other", async () => {
      await store.create(token("ci"), [draft("token.created")]);
      expect(await store.create(token("ci", { role: "admin" }), [draft("second")])).toBe(false);
      expect(await store.list()).toEqual([token("ci")]);
      expect(await kinds()).toEqual(["token.created"]);
    });

    it("forgets a token that is revoked, and its name can be taken again", async () => {
      await store.create(token("ci"), []);
      await store.create(token("other"), []);
      expect(await store.revoke("ci", [draft("token.revoked")])).toBe(true);
      expect(await store.list()).toEqual([token("other")]);
      expect(await store.revoke("ci", [draft("again")])).toBe(false);
      expect(await kinds()).toEqual(["token.revoked"]);
      expect(await store.create(token("ci"), [])).toBe(true);
    });

    it("has its tokens after it was opened again", async () => {
      await store.create(token("ci"), []);
      await store.create(token("gone"), []);
      await store.revoke("gone", []);
      store = await opened.reopen();
      expect(await store.list()).toEqual([token("ci")]);
    });

    it("changes nothing where it cannot write", async () => {
      await store.create(token("ci"), [draft("token.created")]);
      await opened.refuseWrites(true);
      const refused = { code: "STORE_FAILED" };
      await expect(store.create(token("new"), [draft("new")])).rejects.toMatchObject(refused);
      await expect(store.revoke("ci", [draft("revoked")])).rejects.toMatchObject(refused);
      await opened.refuseWrites(false);
      expect(await store.list()).toEqual([token("ci")]);
      expect(await kinds()).toEqual(["token.created"]);
    });
  });
}

function token(name: string, fields: Partial<ApiToken> = {}): ApiToken {
  return { name, role: "deployer", digest: "a0".repeat(32), createdAtMs: 1, expiresAtMs: 2.5, ...fields };
}

function draft(kind: string): AuditDraft {
  return { atMs: 1, kind, actor: "operator", reason: "a test wanted it" };
}

import type { KeyRing, VerifySignature } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A ring without a key. */
export interface OpenedKeyRing {
  readonly ring: KeyRing;
  readonly verify: VerifySignature;
  /** The same ring as a process finds it that starts again. */
  reopen(): Promise<KeyRing>;
  close(): Promise<void>;
}

/** What every {@link KeyRing} keeps to. */
export function keyRingConformance(name: string, open: () => Promise<OpenedKeyRing>): void {
  describe(`${name} as a KeyRing`, () => {
    let opened: OpenedKeyRing;
    let ring: KeyRing;
    beforeEach(async () => {
      opened = await open();
      ring = opened.ring;
    });
    afterEach(() => opened.close());

    it("makes another key each time, and has them all after it was opened again", async () => {
      const made = [await ring.create(), await ring.create(), await ring.create()];
      const names = made.map(({ publicKey }) => publicKey);
      expect(new Set(names).size).toBe(3);
      ring = await opened.reopen();
      expect((await ring.list()).toSorted()).toEqual(names.toSorted());
      for (const signer of made) {
        const again = await ring.open(signer.publicKey);
        expect([again.publicKey, again.sign("text")]).toEqual([signer.publicKey, signer.sign("text")]);
        expect(opened.verify(signer.publicKey, "text", again.sign("text"))).toBe(true);
      }
    });

    it("makes none where one is asked for that is gone", async () => {
      const { publicKey } = await ring.create();
      await ring.remove(publicKey);
      await ring.remove(publicKey);
      expect(await ring.list()).toEqual([]);
      await expect(ring.open(publicKey)).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
      expect(await (await opened.reopen()).list()).toEqual([]);
    });
  });
}

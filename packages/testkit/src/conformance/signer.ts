import type { Signer, VerifySignature } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A signer with a key that was made for it. */
export interface OpenedSigner {
  readonly signer: Signer;
  readonly verify: VerifySignature;
  /** The same signer as a process finds it that starts again. */
  reopen(): Promise<Signer>;
  /** One with another key. */
  other(): Promise<Signer>;
  close(): Promise<void>;
}

/** What every {@link Signer} keeps to. */
export function signerConformance(name: string, open: () => Promise<OpenedSigner>): void {
  describe(`${name} as a Signer`, () => {
    let opened: OpenedSigner;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.close());

    it("makes signatures that its key verifies, over any text", () => {
      const { signer, verify } = opened;
      for (const text of ["", "a", "a\nb", "再见 🎲", "x".repeat(100_000)]) {
        expect(verify(signer.publicKey, text, signer.sign(text))).toBe(true);
      }
    });

    it("verifies no other text, no other key and no signature that was changed", async () => {
      const { signer, verify } = opened;
      const signature = signer.sign("text");
      const other = await opened.other();
      expect(verify(signer.publicKey, "text ", signature)).toBe(false);
      expect(verify(other.publicKey, "text", signature)).toBe(false);
      const changed = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
      expect(verify(signer.publicKey, "text", changed)).toBe(false);
    });

    it("takes a signature in one spelling only", () => {
      const { signer, verify } = opened;
      const signature = signer.sign("text");
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const taken = Array.from(alphabet)
        .map((last) => signature.slice(0, -1) + last)
        .filter((spelling) => verify(signer.publicKey, "text", spelling));
      expect(taken).toEqual([signature]);
      for (const spelling of [`${signature}=`, `${signature}==`, ` ${signature}`, `${signature}\n`, `${signature}!`]) {
        expect(verify(signer.publicKey, "text", spelling)).toBe(false);
      }
    });

    it("names its key by 43 characters, signs the same text alike, and keeps its key", async () => {
      const { signer } = opened;
      expect(signer.publicKey).toMatch(/^[A-Za-z0-9_-]{43}$/);
      const again = await opened.reopen();
      expect([again.publicKey, again.sign("text")]).toEqual([signer.publicKey, signer.sign("text")]);
    });

    it.each(["", "no key", "A".repeat(43), "_".repeat(43), "A".repeat(100_000)])(
      "verifies nothing by the key %.50s",
      (key) => {
        expect(opened.verify(key, "text", opened.signer.sign("text"))).toBe(false);
      },
    );

    it.each(["", "no signature", "A".repeat(86), "A".repeat(100_000), "é"])(
      "verifies nothing by the signature %.50s",
      (signature) => {
        expect(opened.verify(opened.signer.publicKey, "text", signature)).toBe(false);
      },
    );
  });
}

import { describe, expect, test } from "vitest";
import { newKey, verifyKey } from "../test/ed25519-key.ts";
import { isSignedBy, signedText, signText, type SignedText } from "./signed-text.ts";

const [old, now, stranger] = [newKey(), newKey(), newKey()];
const BODY = '{"a":1}';
const both = signText("table", BODY, [now, old]);
const holds = (signed: SignedText, ...keys: { publicKey: string }[]) =>
  isSignedBy(
    "table",
    signed,
    keys.map(({ publicKey }) => publicKey),
    verifyKey,
  );

describe("A signed text", () => {
  test("is good for whoever knows one of the keys that signed it", () => {
    expect(holds(both, old)).toBe(true);
    expect(holds(both, now)).toBe(true);
    expect(holds(both, stranger, old)).toBe(true);
    expect(holds(both, stranger)).toBe(false);
    expect(holds(both)).toBe(false);
  });

  test("is for one purpose", () => {
    for (const purpose of ["certificate", "hello"] as const) {
      expect(isSignedBy(purpose, both, [old.publicKey], verifyKey)).toBe(false);
      expect(holds(signText(purpose, BODY, [old]), old)).toBe(false);
    }
    // Its body cannot carry the purpose of another over.
    expect(holds(signText("hello", `x\nholdover table 1\n${BODY}`, [old]), old)).toBe(false);
  });

  test("is no good with a letter changed, in the body or in the signature", () => {
    expect(holds({ ...both, body: '{"a":2}' }, old, now)).toBe(false);
    const swapped = both.signatures.map(({ signature }, index) => {
      return { key: both.signatures[1 - index]?.key ?? "", signature };
    });
    expect(holds({ ...both, signatures: swapped }, old, now)).toBe(false);
  });

  test("is no good with the signature of one key under the name of another", () => {
    const forged = signText("table", '{"a":2}', [stranger]);
    const signatures = forged.signatures.map(({ signature }) => ({ key: old.publicKey, signature }));
    expect(holds({ ...forged, signatures }, old)).toBe(false);
  });

  test("is no good with half a character in it, which has the bytes of another text", () => {
    const told = signText("table", '"\uFFFD"', [old]);
    expect(holds(told, old)).toBe(true);
    expect(holds({ ...told, body: '"\uD800"' }, old)).toBe(false);
  });

  test("is not looked at past its eighth signature, and comes over a link with one to eight", () => {
    const junk = Array.from({ length: 8 }, () => ({ key: stranger.publicKey, signature: "x" }));
    const buried = { body: BODY, signatures: [...junk, ...both.signatures] };
    expect(holds(buried, old)).toBe(false);
    expect(signedText.safeParse(buried).success).toBe(false);
    expect(signedText.safeParse({ ...both, signatures: [] }).success).toBe(false);
    expect(signedText.parse(JSON.parse(JSON.stringify(both)))).toEqual(both);
  });

  test.each([
    ["no signatures", { body: BODY }],
    ["a body that is no text", { ...both, body: 1 }],
    ["a key that is none", { ...both, signatures: [{ key: "k", signature: "s" }] }],
    ["a signature that is too long", { ...both, signatures: [{ key: old.publicKey, signature: "s".repeat(87) }] }],
  ])("with %s is none", (_what, value) => {
    expect(signedText.safeParse(value).success).toBe(false);
  });
});

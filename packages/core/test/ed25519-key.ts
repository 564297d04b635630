import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { Signer, VerifySignature } from "../src/ports/signer.ts";

/** A key in memory, for tests of what is signed. */
export function newKey(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ format: "jwk" }).x),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}

export const verifyKey: VerifySignature = (publicKey, text, signature) => {
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
};

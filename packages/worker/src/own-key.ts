import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { Signer, VerifySignature } from "@holdover/core";

/** A key that this process makes for itself and that never leaves it. */
export function makeOwnKey(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ format: "jwk" }).x),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}

/** Verifies what control has signed. */
export const verifySignature: VerifySignature = (publicKey, text, signature) => {
  const bytes = Buffer.from(signature, "base64url");
  // Node reads past what is no base64url: many texts would be one signature.
  if (bytes.toString("base64url") !== signature) return false;
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
    return verify(null, Buffer.from(text), key, bytes);
  } catch {
    return false;
  }
};

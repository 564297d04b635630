import { z } from "zod";
import type { Signer, VerifySignature } from "./ports/signer.ts";

/** What a signature is for: one over a certificate never passes for one over a table. */
export type SigningPurpose = "table" | "certificate" | "hello";

/** While keys are rotated there are two; more than this many are never looked at. */
const SIGNATURES_MOST = 8;
/** An Ed25519 signature in base64url has 86 characters, a public key 43. */
const SIGNATURE_CHARS = 86;

/** A public key as a Signer names it: the raw 32 bytes in base64url. */
export const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;
export const publicKeyText = z.string().regex(PUBLIC_KEY, "this is no Ed25519 public key in base64url");

/** A text with the signatures over it. */
export interface SignedText {
  /** JSON; read only after it was verified. */
  readonly body: string;
  /** By each key that whoever has to verify it may know, newest first. */
  readonly signatures: readonly { readonly key: string; readonly signature: string }[];
}

/** How a {@link SignedText} comes over a link: the size of the body is bounded by that of the line. */
export const signedText = z.object({
  body: z.string(),
  signatures: z
    .array(z.object({ key: publicKeyText, signature: z.string().max(SIGNATURE_CHARS) }))
    .min(1)
    .max(SIGNATURES_MOST)
    .readonly(),
});

/** @param signers at least one, newest key first */
export function signText(purpose: SigningPurpose, body: string, signers: readonly Signer[]): SignedText {
  const text = signedForm(purpose, body);
  return { body, signatures: signers.map((signer) => ({ key: signer.publicKey, signature: signer.sign(text) })) };
}

/** Whether one of the signatures is by one of the keys; what the others are worth is not asked. */
export function isSignedBy(
  purpose: SigningPurpose,
  { body, signatures }: SignedText,
  keys: readonly string[],
  verify: VerifySignature,
): boolean {
  // A lone surrogate becomes the replacement character in UTF-8: two texts would have the same signature.
  if (!body.isWellFormed()) return false;
  const text = signedForm(purpose, body);
  return signatures
    .slice(0, SIGNATURES_MOST)
    .some(({ key, signature }) => keys.includes(key) && verify(key, text, signature));
}

/** What is signed: the purpose in a line of its own, then the body. */
export function signedForm(purpose: SigningPurpose, body: string): string {
  return `holdover ${purpose} 1\n${body}`;
}

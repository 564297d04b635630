/** Signs with a key of its own that nobody else has. */
export interface Signer {
  /** Names the key for whoever verifies: the raw Ed25519 public key in base64url, 43 characters. */
  readonly publicKey: string;
  /**
   * The Ed25519 signature (RFC 8032) over the text in UTF-8, in base64url. MUST be verified by {@link publicKey}; MUST
   * give the same for the same text.
   */
  sign(text: string): string;
}

/**
 * Whether a signature over a text was made with the key of a {@link Signer}. MUST NOT throw: what is no key and what is
 * no signature verifies nothing. MUST take a signature in the one spelling that `sign` gave: base64url can spell the same
 * bytes in several ways.
 */
export type VerifySignature = (publicKey: string, text: string, signature: string) => boolean;

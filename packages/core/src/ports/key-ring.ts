import type { Signer } from "./signer.ts";

/** The private keys that control signs with. They never leave it. */
export interface KeyRing {
  /** Makes a key. MUST have it on the disk when this resolves. @throws HoldoverError KEY_UNREADABLE */
  create(): Promise<Signer>;
  /** MUST NOT make one. @throws HoldoverError KEY_UNREADABLE where it is gone or is another one */
  open(publicKey: string): Promise<Signer>;
  /** The public keys of all that there are, in no order. */
  list(): Promise<string[]>;
  /** Does nothing where there is none. */
  remove(publicKey: string): Promise<void>;
}

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { HoldoverError, problemOf, type Signer, type VerifySignature } from "@holdover/core";

/** A key as its raw public half in base64url, 43 characters (RFC 8037, section 2). */
const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;

/**
 * Signs with the Ed25519 key of a PEM file (PKCS #8), which is made with mode 0600 where there is none.
 * @throws HoldoverError KEY_UNREADABLE where the file holds something else or cannot be read
 */
export async function openEd25519Signer(file: string): Promise<Signer> {
  return signerOf(createKey(await readOrMake(file), file, createPrivateKey));
}

/**
 * As {@link openEd25519Signer}, and makes none.
 * @throws HoldoverError KEY_UNREADABLE
 */
export async function readEd25519Signer(file: string): Promise<Signer> {
  try {
    return signerOf(createKey(await readFile(file, "utf8"), file, createPrivateKey));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** A new key that is in memory only, and as PEM (PKCS #8) for whoever keeps it. */
export function newEd25519Key(): { readonly signer: Signer; readonly pem: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  return { signer: signerOf(privateKey), pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/**
 * The public key in a PEM file, which may hold the private one.
 * @throws HoldoverError KEY_UNREADABLE
 */
export async function readEd25519PublicKey(file: string): Promise<string> {
  try {
    return nameOf(createKey(await readFile(file, "utf8"), file, createPublicKey));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

export const verifyEd25519: VerifySignature = (publicKey, text, signature) => {
  if (!PUBLIC_KEY.test(publicKey)) return false;
  const bytes = Buffer.from(signature, "base64url");
  // Node reads past what is no base64url, and past unused bits of the last character: many texts would be one signature.
  if (bytes.toString("base64url") !== signature) return false;
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
    return verify(null, Buffer.from(text), key, bytes);
  } catch {
    // No point on the curve.
    return false;
  }
};

/** A public key as PEM (SPKI), to be given to whoever verifies elsewhere. */
export function publicKeyPem(publicKey: string): string {
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
  return key.export({ type: "spki", format: "pem" }).toString();
}

async function readOrMake(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(file, cause);
  }
  const { pem } = newEd25519Key();
  const partial = `${file}.${process.pid}.partial`;
  try {
    await writeFile(partial, pem, { mode: 0o600 });
    // Not by rename: a key that another process has made meanwhile stays.
    await link(partial, file).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause;
    });
    return await readFile(file, "utf8");
  } catch (cause) {
    throw unreadable(file, cause);
  } finally {
    await rm(partial, { force: true });
  }
}

function createKey(pem: string, file: string, read: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read(pem);
  } catch (cause) {
    throw unreadable(file, cause);
  }
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new HoldoverError("KEY_UNREADABLE", { file, problem: "it is no Ed25519 key" });
}

function signerOf(key: KeyObject): Signer {
  return { publicKey: nameOf(key), sign: (text) => sign(null, Buffer.from(text), key).toString("base64url") };
}

function nameOf(key: KeyObject): string {
  return String((key.type === "public" ? key : createPublicKey(key)).export({ format: "jwk" }).x);
}

function unreadable(file: string, cause: unknown): HoldoverError {
  if (cause instanceof HoldoverError) return cause;
  return new HoldoverError("KEY_UNREADABLE", { file, problem: problemOf(cause) }, { cause });
}

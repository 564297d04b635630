import { checkCertificate, CLOCKS_APART_MS, type Certificate, type CertificateCheck } from "./certificate.ts";
import { memberRejected } from "./member-rejection.ts";
import type { Signer, VerifySignature } from "./ports/signer.ts";
import { PUBLIC_KEY, signedForm, type SignedText } from "./signed-text.ts";

/** What a host asks a worker to sign. */
export interface Challenge {
  /** At least 16 random bytes as text, made for this connection and taken once. */
  readonly nonce: string;
  /** The host's name: an answer to one host is none to another. */
  readonly host: string;
}

/** What a worker says of itself when it comes. */
export interface HelloClaim {
  readonly instance: string;
  /** Of a key that its process made for itself and tells nobody. */
  readonly publicKey: string;
  /** Its clock, epoch time in ms. */
  readonly atMs: number;
  /** The first time; null where it has a certificate. */
  readonly token: string | null;
  readonly certificate: SignedText | null;
}

/** The answer to a challenge. */
export interface Hello extends HelloClaim {
  /** The signature over all of it and the challenge, by its own key. */
  readonly proof: string;
}

/** How a worker gets in, once its hello was found to be good. */
export type Entry =
  /** Control has to say whether the token is good, and makes the first certificate. */
  { readonly by: "token"; readonly token: string } | { readonly by: "certificate"; readonly certificate: Certificate };

/** @param signer of the worker's own key */
export function signHello(challenge: Challenge, claim: Omit<HelloClaim, "publicKey">, signer: Signer): Hello {
  const { instance, atMs, token, certificate } = claim;
  const whole = { instance, publicKey: signer.publicKey, atMs, token, certificate };
  return { ...whole, proof: signer.sign(helloText(challenge, whole)) };
}

/**
 * Whether a hello answers this very challenge with the key that it names, and at this time.
 * @param nowMs of the clock on the wall
 * @throws HoldoverError MEMBER_REJECTED: proof, clock
 */
export function checkProof(hello: Hello, challenge: Challenge, nowMs: number, verify: VerifySignature): void {
  const { instance, publicKey, atMs, proof } = hello;
  if (!PUBLIC_KEY.test(publicKey)) throw memberRejected(instance, "proof", "what it names is no key");
  if (!instance.isWellFormed() || !verify(publicKey, helloText(challenge, hello), proof)) {
    throw memberRejected(instance, "proof", "its signature is not one over this challenge by the key that it names");
  }
  const apartMs = Math.abs(atMs - nowMs);
  if (!(apartMs <= CLOCKS_APART_MS)) {
    const most = CLOCKS_APART_MS / 1000;
    const apart = `its clock and the host's are ${Math.round(apartMs / 1000)} s apart`;
    throw memberRejected(instance, "clock", `${apart}, and ${most} s are allowed`);
  }
}

/** Against what a hello is checked. */
export interface HelloCheck extends Omit<CertificateCheck, "claim"> {
  readonly challenge: Challenge;
}

/**
 * All that a host can say of a hello by itself, while control is away too.
 * @throws HoldoverError MEMBER_REJECTED
 */
export function checkHello(hello: Hello, { challenge, ...check }: HelloCheck): Entry {
  const { instance, publicKey, token, certificate } = hello;
  checkProof(hello, challenge, check.nowMs, check.verify);
  if (certificate) {
    return {
      by: "certificate",
      certificate: checkCertificate(certificate, { ...check, claim: { instance, publicKey } }),
    };
  }
  if (!check.known) throw memberRejected(instance, "unknown-instance", "no such instance runs here");
  if (check.trust.revoked.includes(instance)) throw memberRejected(instance, "revoked", "it was revoked");
  if (token === null) throw memberRejected(instance, "token", "it brought neither a join token nor a certificate");
  return { by: "token", token };
}

/** The same for the same hello, whoever writes it: an array keeps its order, and each field has one place in it. */
function helloText({ nonce, host }: Challenge, { instance, publicKey, atMs, token, certificate }: HelloClaim): string {
  const shown = certificate && [certificate.body, certificate.signatures.map(({ key, signature }) => [key, signature])];
  return signedForm("hello", JSON.stringify([nonce, host, instance, publicKey, atMs, token, shown]));
}

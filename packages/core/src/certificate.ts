import { z } from "zod";
import { memberRejected } from "./member-rejection.ts";
import type { Signer, VerifySignature } from "./ports/signer.ts";
import { RELEASE_ID, SERVICE_NAME } from "./service.ts";
import { isSignedBy, publicKeyText, signText, type SignedText } from "./signed-text.ts";
import { INSTANCE_ID_CHARS, type Trust } from "./trust.ts";

/** How long a certificate is valid, ms: what a revocation that never arrives can cost at the most. */
export const CERTIFICATE_MS = 3_600_000;

/** How far two clocks may be apart, ms. */
export const CLOCKS_APART_MS = 120_000;

/** A certificate is far below this. */
const CERTIFICATE_CHARS = 2000;

const certificate = z.object({
  serial: z.int().min(1),
  service: z.string().regex(SERVICE_NAME),
  release: z.string().regex(RELEASE_ID),
  instance: z.string().min(1).max(INSTANCE_ID_CHARS),
  publicKey: publicKeyText,
  fromMs: z.number(),
  untilMs: z.number(),
  epoch: z.int().min(0),
});

/** What control vouches for: whoever has the private half of this key is this instance of this release. */
export interface Certificate {
  /** From 1, each once. */
  readonly serial: number;
  readonly service: string;
  readonly release: string;
  readonly instance: string;
  readonly publicKey: string;
  readonly fromMs: number;
  /** From then on it is not valid. */
  readonly untilMs: number;
  /** That of the trust when it was made, for people. */
  readonly epoch: number;
}

/** What a worker says of itself; the proof is that it has the key. */
export interface MemberClaim {
  readonly instance: string;
  readonly publicKey: string;
}

/** What an instance is, for whoever started it. */
export interface KnownInstance {
  readonly service: string;
  readonly release: string;
}

/** Against what a certificate is checked. */
export interface CertificateCheck {
  readonly claim: MemberClaim;
  /** Undefined: no such instance runs. */
  readonly known: KnownInstance | undefined;
  readonly trust: Trust;
  /** Of the clock on the wall: one that stands still while the machine sleeps takes every new certificate for a future one. */
  readonly nowMs: number;
  readonly verify: VerifySignature;
}

/** @param signers of every key that is trusted */
export function signCertificate(content: Certificate, signers: readonly Signer[]): SignedText {
  return signText("certificate", JSON.stringify(content), signers);
}

/** When whoever has it asks for the next one: at half of its time. */
export function renewalAtMs({ fromMs, untilMs }: Pick<Certificate, "fromMs" | "untilMs">): number {
  return fromMs + (untilMs - fromMs) / 2;
}

/**
 * What a certificate says, for the worker that got it from its own host. Nothing is checked.
 * @returns null where it is none
 */
export function readCertificate({ body }: SignedText): Certificate | null {
  if (body.length > CERTIFICATE_CHARS) return null;
  try {
    return certificate.safeParse(JSON.parse(body)).data ?? null;
  } catch {
    return null;
  }
}

/**
 * Whether a certificate lets a worker in now. The proof that it has the key is the business of checkProof.
 * @throws HoldoverError MEMBER_REJECTED: unknown-instance, revoked, certificate, other-service, clock, expired
 */
export function checkCertificate(signed: SignedText, check: CertificateCheck): Certificate {
  const content = verifyCertificate(signed, check);
  const { claim, nowMs } = check;
  if (content.fromMs > nowMs + CLOCKS_APART_MS) {
    const ahead = Math.round((content.fromMs - nowMs) / 1000);
    throw memberRejected(claim.instance, "clock", `its certificate begins ${ahead} s from now; compare the clocks`);
  }
  if (nowMs >= content.untilMs) {
    const ago = Math.round((nowMs - content.untilMs) / 1000);
    throw memberRejected(claim.instance, "expired", `its certificate ran out ${ago} s ago`);
  }
  return content;
}

/**
 * As {@link checkCertificate}, whatever the time is: one that has run out can be exchanged for a new one by control,
 * which still knows the instance. A machine that slept has no other on it.
 * @throws HoldoverError MEMBER_REJECTED
 */
export function verifyCertificate(
  signed: SignedText,
  { claim, known, trust, verify }: Omit<CertificateCheck, "nowMs">,
): Certificate {
  const { instance, publicKey } = claim;
  if (!known) throw memberRejected(instance, "unknown-instance", "no such instance runs here");
  if (trust.revoked.includes(instance)) throw memberRejected(instance, "revoked", "it was revoked");
  // Read first only to bound what is verified: nothing of it is believed before.
  const content = readCertificate(signed);
  if (!content || !isSignedBy("certificate", signed, trust.keys, verify)) {
    throw memberRejected(instance, "certificate", "no key that is trusted has signed its certificate");
  }
  if (content.service !== known.service || content.release !== known.release) {
    const other = `its certificate is for ${content.release} of ${content.service}`;
    throw memberRejected(instance, "other-service", `${other}, and it runs ${known.release} of ${known.service}`);
  }
  if (content.instance !== instance) {
    throw memberRejected(instance, "certificate", `its certificate is that of ${content.instance}`);
  }
  if (content.publicKey !== publicKey) {
    throw memberRejected(instance, "certificate", "its certificate is for another key than its own");
  }
  return content;
}

import { describe, expect, test } from "vitest";
import { newKey, verifyKey } from "../test/ed25519-key.ts";
import { CERTIFICATE_MS, CLOCKS_APART_MS, renewalAtMs, signCertificate, type Certificate } from "./certificate.ts";
import { rejectionOf, type RejectionReason } from "./member-rejection.ts";
import { signText } from "./signed-text.ts";
import type { Trust } from "./trust.ts";
import { checkHello, signHello, type Hello, type HelloCheck, type HelloClaim } from "./worker-hello.ts";

const NOW_MS = 1_700_000_000_000;
const [control, next, mine, stranger] = [newKey(), newKey(), newKey(), newKey()];
const INSTANCE = "rooms.v1-1";
const CHALLENGE = { nonce: "a-nonce-of-32-random-bytes", host: "host-1" };
const trust: Trust = { epoch: 2, keys: [control.publicKey], revoked: [] };
const CONTENT: Certificate = {
  serial: 1,
  service: "rooms",
  release: "v1",
  instance: INSTANCE,
  publicKey: mine.publicKey,
  fromMs: NOW_MS - 1000,
  untilMs: NOW_MS - 1000 + CERTIFICATE_MS,
  epoch: 2,
};
const certificate = (over: Partial<Certificate> = {}, signers = [control]) =>
  signCertificate({ ...CONTENT, ...over }, signers);
const check = (over: Partial<HelloCheck> = {}): HelloCheck => {
  const known = { service: "rooms", release: "v1" };
  return { challenge: CHALLENGE, known, trust, nowMs: NOW_MS, verify: verifyKey, ...over };
};
const hello = (over: Partial<Omit<HelloClaim, "publicKey">> = {}, signer = mine): Hello =>
  signHello(CHALLENGE, { instance: INSTANCE, atMs: NOW_MS, token: null, certificate: certificate(), ...over }, signer);

function refusal(given: Hello, over: Partial<HelloCheck> = {}): RejectionReason | "none" {
  try {
    checkHello(given, check(over));
    return "none";
  } catch (thrown) {
    return rejectionOf(thrown, "")?.reason ?? "none";
  }
}

describe("A hello with a certificate", () => {
  test("lets its worker in, and says what control vouched for", () => {
    expect(checkHello(hello(), check())).toEqual({ by: "certificate", certificate: CONTENT });
  });

  test("that was recorded is no answer to the next challenge, nor to that of another host", () => {
    expect(refusal(hello(), { challenge: { ...CHALLENGE, nonce: "another" } })).toBe("proof");
    expect(refusal(hello(), { challenge: { ...CHALLENGE, host: "host-2" } })).toBe("proof");
  });

  test.each<[string, (good: Hello) => Hello]>([
    ["its instance", (good) => ({ ...good, instance: "rooms.v1-2" })],
    ["its clock", (good) => ({ ...good, atMs: good.atMs + 1 })],
    ["its token", (good) => ({ ...good, token: "t" })],
    ["its certificate", (good) => ({ ...good, certificate: certificate({ serial: 2 }) })],
    ["the signatures of its certificate", (good) => ({ ...good, certificate: { ...certificate(), signatures: [] } })],
    ["its key", (good) => ({ ...good, publicKey: stranger.publicKey })],
    ["its key for none", (good) => ({ ...good, publicKey: "k" })],
    ["its proof", (good) => ({ ...good, proof: (good.proof.startsWith("A") ? "B" : "A") + good.proof.slice(1) })],
  ])("is refused when somebody changes %s on the way", (_what, change) => {
    expect(refusal(change(hello()))).toBe("proof");
  });

  test.each([
    [CLOCKS_APART_MS, "none"],
    [CLOCKS_APART_MS + 1, "clock"],
    [-CLOCKS_APART_MS, "none"],
    [-CLOCKS_APART_MS - 1, "clock"],
    [600_000, "clock"],
    [-600_000, "clock"],
    [Number.NaN, "clock"],
  ])("from a clock that is %d ms off is refused for: %s", (offMs, reason) => {
    expect(refusal(hello({ atMs: NOW_MS + offMs }))).toBe(reason);
  });

  test("of somebody who took the certificate without its key is refused", () => {
    expect(refusal(hello({}, stranger))).toBe("certificate");
  });

  test("whose certificate is another one's is refused", () => {
    expect(refusal(hello({ certificate: certificate({ instance: "rooms.v1-2" }) }))).toBe("certificate");
    expect(refusal(hello({ certificate: certificate({ service: "chat" }) }))).toBe("other-service");
    expect(refusal(hello({ certificate: certificate({ release: "v2" }) }))).toBe("other-service");
    const chat = certificate({ service: "chat", instance: "chat.v1-1" });
    expect(refusal(hello({ certificate: chat }))).toBe("other-service");
  });

  test("whose certificate nobody trusted has signed is refused", () => {
    expect(refusal(hello({ certificate: certificate({}, [stranger]) }))).toBe("certificate");
    expect(refusal(hello({ certificate: certificate({}, [mine]) }))).toBe("certificate");
    const asTable = signText("table", certificate().body, [control]);
    expect(refusal(hello({ certificate: asTable }))).toBe("certificate");
  });

  test.each([
    ["no JSON", "{"],
    ["no certificate", "{}"],
    ["too long", JSON.stringify({ ...CONTENT, more: "x".repeat(3000) })],
    ["a strange service", JSON.stringify({ ...CONTENT, service: "../rooms" })],
  ])("whose certificate is %s is refused although it is signed", (_what, body) => {
    expect(refusal(hello({ certificate: signText("certificate", body, [control]) }))).toBe("certificate");
  });

  test("is good while keys are rotated: by the old key where only that one is known, by the new one after it", () => {
    const both = hello({ certificate: certificate({}, [next, control]) });
    expect(refusal(both)).toBe("none");
    expect(refusal(both, { trust: { ...trust, keys: [next.publicKey] } })).toBe("none");
    expect(refusal(hello(), { trust: { ...trust, keys: [next.publicKey, control.publicKey] } })).toBe("none");
    expect(refusal(hello(), { trust: { ...trust, keys: [next.publicKey] } })).toBe("certificate");
  });

  test("is good until its certificate runs out, to the ms", () => {
    const at = (nowMs: number) => refusal(hello({ atMs: nowMs }), { nowMs });
    expect(at(CONTENT.untilMs - 1)).toBe("none");
    expect(at(CONTENT.untilMs)).toBe("expired");
    expect(at(CONTENT.fromMs - CLOCKS_APART_MS)).toBe("none");
    expect(at(CONTENT.fromMs - CLOCKS_APART_MS - 1)).toBe("clock");
    expect(renewalAtMs(CONTENT) - CONTENT.fromMs).toBe(CERTIFICATE_MS / 2);
  });

  test("is refused once its instance is revoked, or runs no more", () => {
    expect(refusal(hello(), { trust: { ...trust, revoked: ["rooms.v1-2"] } })).toBe("none");
    expect(refusal(hello(), { trust: { ...trust, revoked: [INSTANCE] } })).toBe("revoked");
    expect(refusal(hello(), { known: undefined })).toBe("unknown-instance");
  });
});

describe("A hello with a join token", () => {
  const joining = (over: Partial<HelloClaim> = {}) => hello({ token: "the-token", certificate: null, ...over });

  test("is for control to decide, once it has proved its key", () => {
    expect(checkHello(joining(), check())).toEqual({ by: "token", token: "the-token" });
    expect(refusal(joining(), { challenge: { ...CHALLENGE, nonce: "another" } })).toBe("proof");
  });

  test("gets nowhere for an instance that does not run, or is revoked, or with no token either", () => {
    expect(refusal(joining(), { known: undefined })).toBe("unknown-instance");
    expect(refusal(joining(), { trust: { ...trust, revoked: [INSTANCE] } })).toBe("revoked");
    expect(refusal(joining({ token: null }))).toBe("token");
  });
});

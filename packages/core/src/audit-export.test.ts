import { createHash, generateKeyPairSync, sign, verify, createPublicKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { CHAIN_START, nextEntry, readEntry, signHead, type AuditEntry, type AuditHead } from "./audit-chain.ts";
import { exportEnd, exportEntry, exportStart, readExport } from "./audit-export.ts";
import { HoldoverError } from "./errors.ts";
import type { Signer, VerifySignature } from "./ports/signer.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const check: VerifySignature = (x, text, signature) => {
  if (Buffer.from(signature, "base64url").toString("base64url") !== signature) return false;
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
};

function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ format: "jwk" }).x),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}

const signer = newSigner();

function entriesOf(count: number): AuditEntry[] {
  let head: AuditHead = CHAIN_START;
  return Array.from({ length: count }, (_, n) => {
    const detail = { z: n, a: "1", 7: true };
    const stored = nextEntry(head, { atMs: n, kind: "session.cut", actor: "operator", reason: "é\n", detail }, sha256);
    head = stored;
    return readEntry(stored);
  });
}

/** The export of entries after one of them. */
function linesOf(entries: readonly AuditEntry[], after = 0, by = signer): string[] {
  const from = entries[after - 1] ?? CHAIN_START;
  const head = entries.at(-1) ?? CHAIN_START;
  return [exportStart(from), ...entries.slice(after).map(exportEntry), exportEnd(signHead(from, head, 5, by))];
}

function read(lines: readonly string[], publicKey = signer.publicKey) {
  const reader = readExport({ sha256, verify: check, publicKey });
  for (const line of lines) reader.take(line);
  return reader.end();
}

const broken = expect.objectContaining({ code: "AUDIT_BROKEN" });

function isRefused(lines: readonly string[]): boolean {
  try {
    read(lines);
    return false;
  } catch (error) {
    if (error instanceof HoldoverError && error.code === "AUDIT_BROKEN") return true;
    throw error;
  }
}

describe("An export of the audit log", () => {
  it.each([
    [0, 0],
    [5, 0],
    [5, 3],
    [5, 5],
  ])("of %i entries after entry %i is whole as it was written", (count, after) => {
    const entries = entriesOf(count);
    const head = entries.at(-1) ?? CHAIN_START;
    expect(read(linesOf(entries, after))).toMatchObject({ seq: head.seq, hash: head.hash, from: { seq: after } });
  });

  const whole = linesOf(entriesOf(4));
  const [start = "", first = "", second = "", third = "", fourth = "", end = ""] = whole;
  it.each([
    ["an entry edited", [start, first, second.replace("operator", "nobody"), third, fourth, end]],
    ["an entry removed", [start, first, third, fourth, end]],
    ["the first entry removed", [start, second, third, fourth, end]],
    ["the last entry removed", [start, first, second, third, end]],
    ["two entries swapped", [start, second, first, third, fourth, end]],
    ["an entry twice", [start, first, first, second, third, fourth, end]],
    [
      "a field twice, of which one is true",
      [start, first.replace('"actor":', '"actor":"x","actor":'), second, third, fourth, end],
    ],
    ["no signed head", whole.slice(0, -1)],
    [
      "the signed head of a part of it",
      [start, first, linesOf(entriesOf(1)).at(-1) ?? ""].toSpliced(1, 1, first, second),
    ],
    ["the signed head of another part", [start, first, second, third, fourth, linesOf(entriesOf(4), 2).at(-1) ?? ""]],
    [
      "its beginning cut off with the first line mended",
      [exportStart(entriesOf(2)[1] ?? CHAIN_START), third, fourth, end],
    ],
    ["something after the signed head", [...whole, first]],
    ["no first line", whole.slice(1)],
    ["nothing", []],
    ["an empty line", [start, "", first]],
    ["what is no entry", [start, "{}"]],
    ["a list", [start, "[]"]],
    ["no JSON", [start, "{"]],
    ["a signed head without a signature", [start, '{"signedHead":{}}']],
    ["a number that is none", [start, first.replace('"seq":1', '"seq":1e999')]],
  ])("with %s is found out", (_what, lines) => {
    expect(() => read(lines)).toThrow(broken);
  });

  it("that somebody else made and signed is found out, also where it names the trusted key", () => {
    const forged = linesOf(entriesOf(3), 0, newSigner());
    expect(() => read(forged)).toThrow(broken);
    expect(() => read(linesOf(entriesOf(3), 0, { ...newSigner(), publicKey: signer.publicKey }))).toThrow(broken);
  });

  it("is found out wherever one character of it is another", () => {
    const text = whole.join("\n");
    const unseen: string[] = [];
    for (const character of ["0", "a", "B", '"', "}", "\n", " "]) {
      for (let at = 0; at < text.length; at += 1) {
        const changed = `${text.slice(0, at)}${character}${text.slice(at + 1)}`;
        if (changed !== text && !isRefused(changed.split("\n"))) unseen.push(`${at}: ${character}`);
      }
    }
    expect(unseen).toEqual([]);
  });
});

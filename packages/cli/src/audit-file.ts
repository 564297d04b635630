import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readEd25519PublicKey, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { HoldoverError, problemOf, readExport, type SignedHead } from "@holdover/core";

/** Characters of one line: an entry has a few hundred. */
const LINE_MOST = 1024 * 1024;

/**
 * Verifies an export of the audit log, read as a stream.
 * @param keyFile a PEM file with the key that is trusted
 * @returns the signed head at its end
 * @throws HoldoverError AUDIT_BROKEN, KEY_UNREADABLE, USAGE_INVALID where the file cannot be read
 */
export async function verifyAuditFile(file: string, keyFile: string): Promise<SignedHead> {
  const publicKey = await readEd25519PublicKey(keyFile);
  const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");
  const reader = readExport({ sha256, verify: verifyEd25519, publicKey });
  let rest = "";
  try {
    for await (const chunk of createReadStream(file, "utf8")) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) reader.take(line);
      if (rest.length > LINE_MOST) throw new Error(`a line is over ${LINE_MOST} characters`);
    }
  } catch (cause) {
    if (cause instanceof HoldoverError) throw cause;
    throw new HoldoverError(
      "USAGE_INVALID",
      { problem: `${file} cannot be read: ${problemOf(cause)}.`, remedy: "Name a file of `holdover audit export`." },
      { cause },
    );
  }
  if (rest !== "") reader.take(rest);
  return reader.end();
}

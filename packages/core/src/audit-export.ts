import { CHAIN_START, readHead, readSignedHead, storedEntry, verifySignedHead, walkChain } from "./audit-chain.ts";
import type { AuditEntry, AuditHead, ChainWalk, Sha256, SignedHead } from "./audit-chain.ts";
import { HoldoverError, problemOf } from "./errors.ts";
import type { VerifySignature } from "./ports/signer.ts";

/**
 * An export of the audit log is lines of JSON: `{ "from": … }`, where it begins, then the entries as they are, and at the
 * end `{ "signedHead": … }`. The signature covers both ends, and with the hashes all between.
 */

export function exportStart(from: AuditHead): string {
  return JSON.stringify({ from: { seq: from.seq, hash: from.hash } });
}

export function exportEntry(entry: AuditEntry): string {
  return JSON.stringify(entry);
}

export function exportEnd(signedHead: SignedHead): string {
  return JSON.stringify({ signedHead });
}

export interface ExportCheck {
  readonly sha256: Sha256;
  readonly verify: VerifySignature;
  /** The key that is trusted. */
  readonly publicKey: string;
}

/** Reads an export line by line; `end` says what it is worth. */
export interface ExportReader {
  /** @throws HoldoverError AUDIT_BROKEN */
  take(line: string): void;
  /** @throws HoldoverError AUDIT_BROKEN where the signed head is missing or another one */
  end(): SignedHead;
}

/** Finds an entry of an export that was edited, removed, added or put elsewhere, and one that is cut off. */
export function readExport({ sha256, verify, publicKey }: ExportCheck): ExportReader {
  let walk: ChainWalk | undefined;
  let from: AuditHead = CHAIN_START;
  let signed: SignedHead | undefined;
  const broken = (problem: string): HoldoverError =>
    new HoldoverError("AUDIT_BROKEN", { seq: (walk?.at.seq ?? 0) + 1, problem });

  function take(line: string): void {
    if (signed) throw broken("something stands after the signed head");
    const value = parsed(line);
    if (!walk) {
      from = reading("the first line does not say where the export begins", () => readHead(value["from"]));
      walk = walkChain(from, sha256);
    } else if ("signedHead" in value) {
      signed = reading("the signed head lacks a field", () => readSignedHead(value["signedHead"]));
    } else {
      const { seq, hash } = reading("a line is no entry", () => readHead(value));
      walk.take(storedEntry({ ...value, seq, hash } as AuditEntry));
    }
  }

  function reading<Value>(problem: string, read: () => Value): Value {
    try {
      return read();
    } catch {
      throw broken(problem);
    }
  }

  function parsed(line: string): Record<string, unknown> {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw broken(`a line is not JSON: ${problemOf(cause)}`);
    }
    // Written anew it has to be the same: else a field stands in it twice, and another reader takes the other one.
    if (!isRecord(value) || JSON.stringify(value) !== line) throw broken("a line is not as it was written");
    return value;
  }

  return {
    take,
    end() {
      if (!walk || !signed) throw broken("the signed head at the end is missing");
      verifySignedHead(signed, publicKey, verify);
      if (signed.from.seq !== from.seq || signed.from.hash !== from.hash) {
        throw new HoldoverError("AUDIT_BROKEN", {
          seq: from.seq + 1,
          problem: `the export should begin after entry ${signed.from.seq} and begins after ${from.seq}`,
        });
      }
      walk.end(signed);
      return signed;
    },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

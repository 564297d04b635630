import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { AuditEntryView } from "@holdover/control/api";

/** An audit log as control writes and signs it, made with Node's cryptography and none of the page's. */

export type Draft = Omit<AuditEntryView, "seq" | "hash">;
interface Head {
  readonly seq: number;
  readonly hash: string;
}

const START: Head = { seq: 0, hash: "0".repeat(64) };

export interface WrittenLog {
  readonly entries: AuditEntryView[];
  readonly publicKey: string;
  append(draft: Draft): AuditEntryView;
  /** The lines of an export after an entry. */
  export(after: number): string[];
}

export function createWrittenLog(): WrittenLog {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ format: "jwk" }).x ?? "";
  const entries: AuditEntryView[] = [];
  const headAt = (seq: number): Head => (seq === 0 ? START : { seq, hash: entries[seq - 1]?.hash ?? "" });
  return {
    entries,
    publicKey: key,
    append(draft) {
      const { hash: before } = headAt(entries.length);
      const seq = entries.length + 1;
      const hash = createHash("sha256")
        .update(`${before}\n${seq}\n${JSON.stringify(draft)}`)
        .digest("hex");
      const entry = { ...draft, seq, hash };
      entries.push(entry);
      return entry;
    },
    export(after) {
      const from = headAt(after);
      const { seq, hash } = headAt(entries.length);
      const text = ["holdover audit head 1", from.seq, from.hash, seq, hash, 99].join("\n");
      const signature = sign(null, Buffer.from(text), privateKey).toString("base64url");
      const signedHead = { from, seq, hash, atMs: 99, publicKey: key, signature };
      return [
        JSON.stringify({ from }),
        ...entries.slice(after).map((entry) => JSON.stringify(entry)),
        JSON.stringify({ signedHead }),
      ];
    },
  };
}

export function draftOf(kind: string): Draft {
  return {
    atMs: 1_700_000_000_000,
    kind,
    actor: "api:ana",
    reason: "a test",
    service: "rooms",
    session: "<b>👩‍⚕️ שלום</b>",
    detail: { fence: 3, "2": "two", "1": null },
  };
}

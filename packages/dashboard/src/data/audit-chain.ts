import type { AuditEntryView } from "@holdover/control/api";

/** Where a chain of audit entries stands: the number and the hash of the last one that was taken. */
export interface ChainHead {
  readonly seq: number;
  /** Lower-case hex of SHA-256 over `previous hash, newline, seq, newline, body`. */
  readonly hash: string;
}

export interface SignedHead extends ChainHead {
  readonly from: ChainHead;
  readonly atMs: number;
  /** The raw Ed25519 key in base64url. */
  readonly publicKey: string;
  /** In base64url. */
  readonly signature: string;
}

/** The chain does not hold. */
export class ChainBroken extends Error {
  /** The first entry that does not fit. */
  readonly seq: number;

  constructor(seq: number, problem: string) {
    super(problem);
    this.name = "ChainBroken";
    this.seq = seq;
  }
}

/**
 * Whether an entry is the next one of a chain, by its hash over the one before and over its own text.
 * @param entry as it was parsed: JSON keeps the order of fields, so that written anew its text is the one that was hashed
 * @throws ChainBroken
 */
export async function linkEntry(crypto: SubtleCrypto, head: ChainHead, entry: AuditEntryView): Promise<ChainHead> {
  const { seq, hash, ...body } = entry;
  const next = head.seq + 1;
  if (seq !== next) throw new ChainBroken(next, `entry ${seq} stands in the place of ${next}`);
  const found = hex(await crypto.digest("SHA-256", bytes(`${head.hash}\n${seq}\n${JSON.stringify(body)}`)));
  if (found !== hash) throw new ChainBroken(seq, `entry ${seq} does not follow from the one before`);
  return { seq, hash };
}

/**
 * Whether the signature of a head is that of the key that it names.
 * @throws ChainBroken where it is not
 * @returns false where this browser cannot check Ed25519
 */
async function checkSignature(crypto: SubtleCrypto, head: SignedHead): Promise<boolean> {
  const { from, seq, hash, atMs } = head;
  const signed = ["holdover audit head 1", from.seq, from.hash, seq, hash, atMs].join("\n");
  let key: CryptoKey;
  try {
    key = await crypto.importKey("raw", fromBase64Url(head.publicKey), "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error instanceof Error && error.name === "NotSupportedError") return false;
    throw new ChainBroken(seq, "the key that the head names is no Ed25519 key");
  }
  if (await crypto.verify("Ed25519", key, fromBase64Url(head.signature), bytes(signed))) return true;
  throw new ChainBroken(seq, "the signature of the head is not that of its key");
}

/** What following an export has shown. */
export interface FollowedExport {
  readonly from: ChainHead;
  readonly head: SignedHead;
  readonly signature: "checked" | "unsupported";
}

/**
 * Follows an export of the audit log line by line: where it begins, its entries, and the signed head at the end.
 * @param take gets each entry once it is known to be the next one
 * @throws ChainBroken
 */
export async function followExport(
  crypto: SubtleCrypto,
  lines: AsyncIterable<string>,
  take: (entry: AuditEntryView) => void,
): Promise<FollowedExport> {
  let from: ChainHead | undefined;
  let at: ChainHead = { seq: 0, hash: "" };
  let signed: SignedHead | undefined;
  for await (const line of lines) {
    const value = parsed(line, at.seq + 1);
    if (signed) throw new ChainBroken(at.seq + 1, "something stands after the signed head");
    if (!from) {
      if (!isHead(value["from"])) throw new ChainBroken(1, "the export does not say where it begins");
      from = value["from"];
      at = from;
    } else if ("signedHead" in value) {
      if (!isSignedHead(value["signedHead"])) throw new ChainBroken(at.seq, "the signed head lacks a field");
      signed = value["signedHead"];
    } else {
      const entry = value as unknown as AuditEntryView;
      at = await linkEntry(crypto, at, entry);
      take(entry);
    }
  }
  if (!from || !signed)
    throw new ChainBroken(at.seq + 1, "the signed head at the end is missing: the answer broke off");
  if (signed.from.seq !== from.seq || signed.from.hash !== from.hash) {
    throw new ChainBroken(from.seq + 1, `the signature is for entries after ${signed.from.seq}, not after ${from.seq}`);
  }
  if (signed.seq !== at.seq || signed.hash !== at.hash) {
    throw new ChainBroken(at.seq + 1, `the chain was signed up to entry ${signed.seq} and ends at ${at.seq}`);
  }
  const known = await checkSignature(crypto, signed);
  return { from, head: signed, signature: known ? "checked" : "unsupported" };
}

/** Characters that a line may have: an entry has hundreds. */
const LINE_CHARS = 1024 * 1024;

/** The lines of a stream of bytes, as they arrive. @throws ChainBroken where one is longer than any entry */
export async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_CHARS) throw new ChainBroken(0, "a line of the export does not end");
      yield* lines;
    }
    if (rest !== "") yield rest;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parsed(line: string, seq: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ChainBroken(seq, "a line of the export is not JSON");
  }
  // Written anew it has to be the same: else a field stands in it twice, and another reader takes the other one.
  if (typeof value !== "object" || value === null || JSON.stringify(value) !== line) {
    throw new ChainBroken(seq, "a line of the export is not as it was written");
  }
  return value as Record<string, unknown>;
}

function isHead(value: unknown): value is ChainHead {
  return isObject(value) && typeof value["seq"] === "number" && typeof value["hash"] === "string";
}

function isSignedHead(value: unknown): value is SignedHead {
  if (!isObject(value) || !isHead(value) || !("from" in value) || !isHead(value.from)) return false;
  const { atMs, publicKey, signature } = value as Partial<SignedHead>;
  return typeof atMs === "number" && typeof publicKey === "string" && typeof signature === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.codePointAt(0) ?? 0);
}

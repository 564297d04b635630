/** The version of the wire that is spoken here; see docs/client.md. */
export const CHANNEL_VERSION = 1;

/** What a client says. */
export type ClientFrame =
  /** Its first word on every connection. `has` is null for a channel that is new. */
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly id: string;
      /** Grows with every hello of a client. */
      readonly turn: number;
      readonly has: { readonly received: number; readonly acknowledged: number } | null;
    }
  /** A message, or with number 0 nothing but the acknowledgement. */
  | { readonly kind: "data"; readonly number: number; readonly acknowledged: number; readonly text: string };

/** A frame of a client, or null for what is none. */
export function clientFrameOf(json: string): ClientFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  return value[0] === "holdover" ? helloOf(value) : dataOf(value);
}

function helloOf(frame: readonly unknown[]): ClientFrame | null {
  const [, version, id, turn, received, acknowledged] = frame;
  if (!isCount(version)) return null;
  // What another version says after its number is not ours to judge.
  if (version !== CHANNEL_VERSION) return { kind: "hello", version, id: "", turn: 0, has: null };
  if (!isChannelId(id) || !isCount(turn)) return null;
  if (frame.length === 4) return { kind: "hello", version, id, turn, has: null };
  if (frame.length !== 6 || !isCount(received) || !isCount(acknowledged)) return null;
  return { kind: "hello", version, id, turn, has: { received, acknowledged } };
}

function dataOf(frame: readonly unknown[]): ClientFrame | null {
  const [number, acknowledged, text] = frame;
  if (!isCount(number) || !isCount(acknowledged) || frame.length !== (number === 0 ? 2 : 3)) return null;
  if (number === 0) return { kind: "data", number, acknowledged, text: "" };
  return typeof text === "string" ? { kind: "data", number, acknowledged, text } : null;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isChannelId(value: unknown): value is string {
  return typeof value === "string" && /^[\w-]{16,64}$/.test(value);
}

/** The text of a frame as ws hands it out, whatever its `binaryType`. Null where there is none. */
export function textIn(data: unknown): string | null {
  if (typeof data === "string") return data;
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8");
  if (data instanceof ArrayBuffer) return Buffer.from(data).toString("utf8");
  if (Array.isArray(data) && data.every((part) => part instanceof Uint8Array))
    return Buffer.concat(data).toString("utf8");
  return null;
}

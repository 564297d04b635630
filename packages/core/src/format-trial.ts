import { z } from "zod";
import { CHECKPOINT_QUOTA } from "./checkpoint.ts";
import { tryBack, tryForward } from "./compatibility.ts";
import { HoldoverError } from "./errors.ts";
import type { EncodedValue, SessionFormat } from "./session-format.ts";

/** How long a process may take to answer one question, ms: it reads and writes one value. */
export const TRIAL_ANSWER_MS = 5000;
/** Older versions that may be wanted of a value at once: an answer with all of them fits into a line of the worker link. */
export const MOST_WANTED = 8;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const REASON_CHARS = 1000;

const version = z.int().min(1);
const formatName = z.string().min(1).max(128);
const value = z.object({
  format: formatName,
  version,
  base64: z
    .string()
    .max(Math.ceil(CHECKPOINT_QUOTA.entryBytes / 3) * 4)
    .regex(BASE64),
});
const reason = z.string().max(REASON_CHARS);
const written = z
  .array(value)
  .min(1)
  .max(1 + MOST_WANTED);

/** What a host asks a process of a release, in a `try-formats` call: one value at a time, so that no line is too long. */
const formatQuestion = z.discriminatedUnion("try", [
  /** Can you read this, and what would you write for it? */
  z.object({ try: z.literal("forward"), sample: value, wanted: z.array(version).max(MOST_WANTED) }),
  /** Can you read what another release wrote? In its own version first. */
  z.object({ try: z.literal("back"), written }),
  /** This value so that it may be kept outside the store. */
  z.object({ try: z.literal("redact"), sample: value }),
]);

export const forwardAnswer = z.discriminatedUnion("read", [
  z.object({
    read: z.literal(true),
    written,
    unwritten: z.array(z.object({ version, reason })).max(MOST_WANTED),
  }),
  z.object({ read: z.literal(false), reason }),
]);
export const backAnswer = z.object({ reason: reason.nullable() });
export const redactAnswer = z.object({ sample: value.nullable() });

export type TrialValue = z.output<typeof value>;
export type FormatQuestion = z.output<typeof formatQuestion>;

/** Bytes as text and back, by means that core does not have. */
export interface Base64 {
  readonly encode: (bytes: Uint8Array) => string;
  readonly decode: (base64: string) => Uint8Array;
}

/**
 * The worker's end: what a process of a release answers.
 * @param question as it came over the link
 * @throws HoldoverError LINK_MESSAGE_INVALID
 */
export function answerTrial(formats: readonly SessionFormat<unknown>[], question: unknown, base64: Base64): unknown {
  const asked = readOfTrial(formatQuestion, question);
  const decoded = ({ format, version, base64: text }: TrialValue): EncodedValue => ({
    format,
    version,
    bytes: base64.decode(text),
  });
  switch (asked.try) {
    case "forward": {
      const result = tryForward(formats, decoded(asked.sample), asked.wanted);
      return result.read ? { ...result, written: result.written.map((one) => wireValue(one, base64)) } : result;
    }
    case "back":
      return { reason: tryBack(formats, asked.written.map(decoded)) };
    case "redact":
      return { sample: redacted(formats, decoded(asked.sample), base64) };
  }
}

/** What cannot be read, or has no `redact`, is not kept at all. */
function redacted(formats: readonly SessionFormat<unknown>[], sample: EncodedValue, base64: Base64): TrialValue | null {
  try {
    const kept = formats.find(({ name }) => name === sample.format)?.redact(sample);
    return kept && kept.bytes.byteLength <= CHECKPOINT_QUOTA.entryBytes ? wireValue(kept, base64) : null;
  } catch {
    return null;
  }
}

export function wireValue({ format, version, bytes }: EncodedValue, base64: Base64): TrialValue {
  return { format, version, base64: base64.encode(bytes) };
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readOfTrial<T>(schema: z.ZodType<T>, given: unknown): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const problem = `of a format trial: ${z.prettifyError(result.error).slice(0, 300)}`;
  throw new HoldoverError("LINK_MESSAGE_INVALID", { problem });
}

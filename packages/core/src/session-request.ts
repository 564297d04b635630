import { z } from "zod";
import { utf8Length } from "./session-key.ts";

/** What a session's payload may come to as JSON in UTF-8, bytes. */
export const PAYLOAD_BYTES = 65_536;
/** Objects and lists within one another: nobody who reads it recursively is brought down by it. */
const PAYLOAD_DEPTH = 64;
const KEY_BYTES = 256;
const NAME_BYTES = 128;

/** What is asked for where a session is opened by a call, as a job is, and not by a connection. */
export const sessionRequest = z.object({
  service: z.string(),
  /** Null: Holdover gives it one that nobody has. */
  key: text(KEY_BYTES).nullable(),
  /** Which of the worker's agents it is for. */
  agent: text(NAME_BYTES),
  /** For whom it is; limits of a worker that go by tenant count it there. */
  tenant: text(NAME_BYTES).nullable(),
  /** One of the values of the service's label. */
  label: text(NAME_BYTES).nullable(),
  /** Handed to the agent as it is: JSON, null where there is none. */
  payload: z.unknown().superRefine((payload, context) => {
    const problem = problemWith(payload);
    if (problem) context.addIssue({ code: "custom", message: problem });
  }),
});

export type SessionRequest = z.output<typeof sessionRequest>;

/** A session that a worker has taken. */
export interface OpenedSession {
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
  /** It ran before: nothing was opened, and the payload was handed to nobody. */
  readonly already: boolean;
}

/** A name of so many bytes at the most, without control characters: what a key may be made of too. */
function text(maxBytes: number) {
  return (
    z
      .string()
      .min(1)
      // Told before it is counted in bytes, and known to readers of the API.
      .max(maxBytes)
      .refine((value) => utf8Length(value) <= maxBytes, `it is over ${maxBytes} bytes`)
      .refine((value) => !/\p{Cc}|\p{Cs}/u.test(value), "it has control characters")
  );
}

function problemWith(payload: unknown): string | null {
  if (payload === undefined) return "it is no JSON";
  if (!isWithin(payload, PAYLOAD_DEPTH)) return `it is nested over ${PAYLOAD_DEPTH} deep`;
  const bytes = utf8Length(JSON.stringify(payload));
  return bytes > PAYLOAD_BYTES ? `it has ${bytes} bytes of JSON, and ${PAYLOAD_BYTES} are allowed` : null;
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((part) => isWithin(part, depth - 1));
}

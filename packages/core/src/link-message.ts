import { z } from "zod";
import { HoldoverError } from "./errors.ts";

/** An error on its way over a link, as HoldoverError.body() gives it. */
export const errorBody = z.object({
  code: z.string(),
  what: z.string(),
  next: z.string(),
  details: z.record(z.string(), z.union([z.string(), z.number()])),
});

/** A message of a link: JSON on one line. @throws HoldoverError LINK_MESSAGE_INVALID */
export function readMessage<T>(schema: z.ZodType<T>, line: string): T {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: "it is not JSON" }, { cause });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: z.prettifyError(result.error).slice(0, 500) });
}

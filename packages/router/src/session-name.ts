import { createHmac } from "node:crypto";

/**
 * What sessions are called in the log, by their key: the same for the same key, and nothing from which the key could be
 * guessed without this installation's secret. A key may be a person's name.
 */
export function sessionNames(secret: Buffer): (key: string) => string {
  return (key) => createHmac("sha256", secret).update(key).digest("hex").slice(0, 12);
}

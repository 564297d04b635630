import type { Hold } from "./hold.ts";

/**
 * What an instance is told of the session that a request belongs to: its key, percent-encoded, the fence it has there, and
 * its label, percent-encoded, where it has one.
 */
const SESSION = "Holdover-Session";
const FENCE = "Holdover-Fence";
const LABEL = "Holdover-Label";

const NAMES = new Set([SESSION, FENCE, LABEL].map((name) => name.toLowerCase()));

export function sessionFields({ key, fence, label }: Hold): string[] {
  const fields = [SESSION, encodeURIComponent(key.toWellFormed()), FENCE, String(fence)];
  if (label !== null) fields.push(LABEL, encodeURIComponent(label.toWellFormed()));
  return fields;
}

/**
 * Whether a field of the client has to be kept from the instance, which would take it for ours.
 * @param name in lower case; CGI and its kin make one variable of `-` and `_`
 */
export function isSessionField(name: string): boolean {
  return NAMES.has(name.replaceAll("_", "-"));
}

import type { Hold } from "./hold.ts";

/** What an instance is told of the session that a request belongs to: its key, percent-encoded, and the fence it has there. */
const SESSION = "Holdover-Session";
const FENCE = "Holdover-Fence";

export function sessionFields({ key, fence }: Hold): string[] {
  return [SESSION, encodeURIComponent(key.toWellFormed()), FENCE, String(fence)];
}

/**
 * Whether a field of the client has to be kept from the instance, which would take it for ours.
 * @param name in lower case; CGI and its kin make one variable of `-` and `_`
 */
export function isSessionField(name: string): boolean {
  const plain = name.replaceAll("_", "-");
  return plain === "holdover-session" || plain === "holdover-fence";
}

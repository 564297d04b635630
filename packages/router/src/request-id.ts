import { randomBytes } from "node:crypto";

/** Names a request for people who look for it in logs: towards clients and instances in this field. */
export const REQUEST_FIELD = "Holdover-Request";
/** What most applications and proxies call theirs. */
const COMMON_FIELD = "X-Request-Id";

const OURS = REQUEST_FIELD.toLowerCase();
const COMMON = COMMON_FIELD.toLowerCase();

/** What a client may call its request: long enough for any id in use, and nothing that a log or a shell would stumble over. */
const SANE = /^[\w.~+/=:@-]{1,128}$/;

/** No two processes share it, so an id that begins with it is this process's. */
const PREFIX = randomBytes(6).toString("hex");
let made = 0;

/**
 * What a request is called: what its client calls it, in `Holdover-Request` or else in `X-Request-Id`, where that is sane
 * and said once; else a name of our own.
 * @param raw names and values in turn
 */
export function requestIdOf(raw: readonly string[]): string {
  return given(raw, OURS) ?? given(raw, COMMON) ?? newRequestId();
}

export function newRequestId(): string {
  made += 1;
  return `${PREFIX}-${made.toString(36)}`;
}

/** The fields by which an instance is told, names and values in turn. */
export function requestIdFields(id: string): string[] {
  return [REQUEST_FIELD, id, COMMON_FIELD, id];
}

/**
 * Whether a field of the client has to be kept from the instance, since ours takes its place.
 * @param name in lower case; CGI and its kin make one variable of `-` and `_`
 */
export function isRequestIdField(name: string): boolean {
  if (name.length !== OURS.length && name.length !== COMMON.length) return false;
  const dashed = name.replaceAll("_", "-");
  return dashed === OURS || dashed === COMMON;
}

function given(raw: readonly string[], wanted: string): string | null {
  let found: string | null = null;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    if (name.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    // Of two nobody knows which one is meant.
    if (found !== null) return null;
    found = raw[at + 1] as string;
  }
  return found !== null && SANE.test(found) ? found : null;
}

/** Names a request for people who look for it in logs: towards clients and instances it stands in this field. */
export const REQUEST_FIELD = "Holdover-Request";
/** What most applications and proxies call theirs. */
const COMMON_FIELD = "X-Request-Id";

const OURS = REQUEST_FIELD.toLowerCase();
const COMMON = COMMON_FIELD.toLowerCase();

/** What a client may call its request: long enough for any id in use, and nothing that a log or a shell would stumble over. */
const SANE = /^[\w.~+/=:@-]{1,128}$/;

/**
 * What a client calls its request, in `Holdover-Request` or else in `X-Request-Id`; null where that is not sane, or said
 * twice.
 * @param raw the fields of the request, names and values in turn
 */
export function givenRequestId(raw: readonly string[]): string | null {
  return given(raw, OURS) ?? given(raw, COMMON);
}

/**
 * Names for requests that have none.
 * @param prefix one that no other process has
 */
export function requestIds(prefix: string): () => string {
  let made = 0;
  return () => {
    made += 1;
    return `${prefix}-${made.toString(36)}`;
  };
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

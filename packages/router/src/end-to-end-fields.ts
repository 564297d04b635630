/**
 * Fields that are about one connection and not about the message (RFC 9110, 7.6.1), and the credentials of a proxy.
 * Transfer-Encoding is among them: each side frames a body anew.
 */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Taken away because a Connection field named them, these would change what the message is or where it ends. */
const NEVER_NAMED = new Set(["host", "content-length", "trailer"]);

/**
 * What of a message's fields is passed on: names in their own case, repeated fields apart, in their order.
 * @param raw names and values in turn, as node:http gives them
 * @param drop further fields to leave out, by lower-case name
 */
export function endToEndFields(raw: readonly string[], drop: (name: string) => boolean): string[] {
  const named = new Set(tokensOf(raw, "connection"));
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || (named.has(lower) && !NEVER_NAMED.has(lower)) || drop(lower)) continue;
    kept.push(name, raw[at + 1] as string);
  }
  return kept;
}

/** Fields that a trailer must not bring (RFC 9110, 6.5.1): they were acted upon before it came. */
const NEVER_LATE = new Set([
  "authorization",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "forwarded",
  "host",
  "set-cookie",
  "trailer",
]);

/** What of a trailer is passed on, as pairs for `addTrailers`. */
export function trailerFields(raw: readonly string[]): [string, string][] {
  const kept = endToEndFields(raw, (name) => NEVER_LATE.has(name) || name.startsWith("x-forwarded-"));
  return Array.from({ length: kept.length / 2 }, (_, at) => [kept[2 * at] as string, kept[2 * at + 1] as string]);
}

/** The values of a field, each as it stood. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if ((raw[at] as string).toLowerCase() === name) values.push(raw[at + 1] as string);
  }
  return values;
}

/** The members of a field that is a list, in lower case. */
export function tokensOf(raw: readonly string[], name: string): string[] {
  return valuesOf(raw, name)
    .flatMap((value) => value.split(","))
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== "");
}

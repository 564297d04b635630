import { HoldoverError } from "./errors.ts";
import type { RoutedService } from "./routing-table.ts";
import type { KeyPlace } from "./service.ts";

/** The parts of a request in which a session key may stand. */
export interface KeyedRequest {
  /** The request target as it came: path and query. */
  readonly target: string;
  /** The value of a header by its lower-case name. */
  readonly header: (name: string) => string | undefined;
}

const MAX_KEY_BYTES = 256;

/**
 * The session key of a request: from the first place in the service's list that has one, else undefined (keyless).
 * @throws HoldoverError SESSION_KEY_INVALID for a key over 256 bytes or with control characters
 */
export function sessionKeyOf(places: readonly KeyPlace[], request: KeyedRequest): string | undefined {
  for (const place of places) {
    const key = keyAt(place, request);
    if (key === undefined || key === "") continue;
    return checkedKey(key, describe(place));
  }
  return undefined;
}

/**
 * A session's label as its first request has it: from the first place in the service's list that has a value, read as a key
 * is. Null where there is none, or one that the service does not list.
 */
export function sessionLabelOf(label: RoutedService["label"], request: KeyedRequest): string | null {
  for (const place of label?.from ?? []) {
    const found = keyAt(place, request);
    // The service's own string, so that a pin does not keep the request's.
    if (found) return label?.values.find((value) => value === found) ?? null;
  }
  return null;
}

/**
 * A key from anywhere, once it is known to be one.
 * @throws HoldoverError SESSION_KEY_INVALID for an empty key, one over 256 bytes or one with control characters
 */
export function checkedKey(key: string, place: string): string {
  const problem = problemWith(key);
  if (problem) throw new HoldoverError("SESSION_KEY_INVALID", { place, problem });
  return key;
}

function problemWith(key: string): string | null {
  if (key === "") return "it is empty";
  if (utf8Length(key) > MAX_KEY_BYTES) return `it is over ${MAX_KEY_BYTES} bytes`;
  return hasControl(key) ? "it has control characters" : null;
}

/** The path of a request target, without query; an absolute-form target (RFC 9112, 3.2.2) is cut to its path. */
export function pathOf(target: string): string {
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target);
  const rest = origin ? target.slice(origin[0].length) : target;
  const end = rest.search(/[?#]/);
  const path = end === -1 ? rest : rest.slice(0, end);
  return path === "" ? "/" : path;
}

/**
 * A path without what may be a session's key in it, for people who must not see whose session it is: `/rooms/anna/chat` is
 * `/rooms/:room/chat` where a key may stand in the path `/rooms/:room`.
 */
export function pathWithoutKey(places: readonly KeyPlace[], path: string): string {
  const parts = path.split("/");
  for (const place of places) {
    if (!("path" in place) || parameterOf(place.path, path) === undefined) continue;
    for (const [index, part] of place.path.split("/").entries()) if (part.startsWith(":")) parts[index] = part;
  }
  return parts.join("/");
}

/** The value of one cookie in a Cookie header (RFC 6265, 5.4); the first of several counts. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  if (!header) return undefined;
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at === -1 || pair.slice(0, at).trim() !== name) continue;
    return pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1");
  }
  return undefined;
}

function keyAt(place: KeyPlace, request: KeyedRequest): string | undefined {
  if ("header" in place) return request.header(place.header)?.trim();
  if ("cookie" in place) return cookieOf(request.header("cookie"), place.cookie);
  if ("query" in place) return queryOf(request.target, place.query);
  return parameterOf(place.path, pathOf(request.target));
}

function queryOf(target: string, name: string): string | undefined {
  const at = target.indexOf("?");
  if (at === -1) return undefined;
  for (const pair of target
    .slice(at + 1)
    .split("#", 1)[0]
    ?.split("&") ?? []) {
    const equals = pair.indexOf("=");
    if (formDecoded(equals === -1 ? pair : pair.slice(0, equals)) !== name) continue;
    return equals === -1 ? "" : formDecoded(pair.slice(equals + 1));
  }
  return undefined;
}

function parameterOf(pattern: string, path: string): string | undefined {
  const wanted = pattern.split("/");
  const found = path.split("/");
  if (found.length < wanted.length) return undefined;
  let value: string | undefined;
  for (const [index, part] of wanted.entries()) {
    const segment = found[index] ?? "";
    if (part.startsWith(":")) value = decoded(segment);
    else if (part !== segment) return undefined;
  }
  return value;
}

/** Percent-decoding; what does not decode is taken as it stands, so that it still names one session. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** In a query, and there alone, a plus is a space: /rooms/a+b and /rooms/a%2Bb are one room. */
function formDecoded(text: string): string {
  return decoded(text.replaceAll("+", " "));
}

function describe(place: KeyPlace): string {
  return Object.entries(place)
    .map(([kind, name]) => `${kind} ${name}`)
    .join();
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function hasControl(text: string): boolean {
  for (const char of text) if (char < " " || char === "\u007f") return true;
  return false;
}

import { createHmac, timingSafeEqual } from "node:crypto";
import type { RoutedService } from "@holdover/core";

/**
 * The cookie of a session without a key. It holds a random id and a signature over the id and the service's name: it
 * names a session, never a target, and nobody can make one up for a session that is not theirs.
 */
export interface KeylessCookie {
  /** The key of the session that the cookie names. */
  readonly key: string;
  /** The value of a Set-Cookie field. It has no lifetime: it ends with the browser's own session. */
  readonly setCookie: string;
}

/**
 * @param id at least 16 random bytes
 * @param secure the client came over TLS, so the cookie must never go out without
 */
export function newKeylessCookie(service: RoutedService, secret: Buffer, id: Buffer, secure: boolean): KeylessCookie {
  const name = id.toString("base64url");
  const value = `${name}.${signatureOf(name, service, secret).toString("base64url")}`;
  const attributes = `Path=${cookiePath(service.path)}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
  return { key: keyOf(name), setCookie: `${cookieName(service)}=${value}; ${attributes}` };
}

/** The session named by the first cookie of ours whose signature is right; undefined where there is none. */
export function keylessKeyOf(
  cookieHeader: string | undefined,
  service: RoutedService,
  secret: Buffer,
): string | undefined {
  for (const { name, value } of cookiesOf(cookieHeader)) {
    if (name !== cookieName(service)) continue;
    const [id = "", signature = "", ...more] = value.split(".");
    if (id === "" || more.length > 0) continue;
    const expected = signatureOf(id, service, secret);
    const given = Buffer.from(signature, "base64url");
    if (given.length === expected.length && timingSafeEqual(given, expected)) return keyOf(id);
  }
  return undefined;
}

/**
 * A Cookie header without the cookie that is the router's alone; undefined where nothing else is in it. An instance has
 * no use for it, and what it never sees it can neither log nor leak.
 */
export function withoutKeylessCookie(cookieHeader: string, service: RoutedService): string | undefined {
  const own = cookieName(service);
  if (!cookieHeader.includes(own)) return cookieHeader;
  const others = cookiesOf(cookieHeader).filter(({ name }) => name !== own);
  return others.length === 0 ? undefined : others.map(({ pair }) => pair).join("; ");
}

function cookieName(service: RoutedService): string {
  return `holdover_${service.name}`;
}

/** Shows people where the key of the session came from. */
function keyOf(id: string): string {
  return `cookie:${id}`;
}

function signatureOf(id: string, service: RoutedService, secret: Buffer): Buffer {
  return createHmac("sha256", secret).update(`${service.name}\n${id}`).digest();
}

/** A path that no cookie can carry (RFC 6265, 4.1.1) is widened, or the cookie would be cut short or come to nothing. */
function cookiePath(path: string): string {
  return /^[\x21-\x3a\x3c-\x7e]+$/.test(path) ? path : "/";
}

function cookiesOf(header: string | undefined): { name: string; value: string; pair: string }[] {
  return (header ?? "")
    .split(";")
    .map((part) => part.trim())
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=");
      return { name: at === -1 ? "" : pair.slice(0, at).trim(), value: pair.slice(at + 1).trim(), pair };
    });
}

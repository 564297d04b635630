import type { IncomingMessage } from "node:http";
import { HoldoverError, pathOf } from "@holdover/core";
import { tokensOf, valuesOf } from "./end-to-end-fields.ts";

/**
 * Fields of a head at the most. Apache takes 100 and HAProxy 101 by default, so a client that got this far through the
 * internet has fewer; each costs this process a few objects.
 */
const MAX_FIELDS = 100;

/** A request's head, once it is known to be one that no two servers would read differently. */
export interface RequestHead {
  readonly method: string;
  /** As the instance gets it: path and query, or `*`. */
  readonly target: string;
  readonly path: string;
  /** Lower case, without port and final dot; empty for HTTP/1.0 without one. */
  readonly host: string;
  /** The Host field as it came; undefined for HTTP/1.0 without one. */
  readonly hostField: string | undefined;
  readonly body: "none" | "length" | "chunked";
  /** A field's value by its lower-case name; undefined for none. @throws HoldoverError REQUEST_MALFORMED when it is given twice */
  readonly header: (name: string) => string | undefined;
}

/**
 * Reads a head strictly, on top of what the parser refuses by itself.
 * @throws HoldoverError REQUEST_MALFORMED, METHOD_REFUSED, HEAD_FIELDS_TOO_MANY
 */
export function readHead(request: IncomingMessage): RequestHead {
  const { rawHeaders: raw, httpVersion, method = "GET", url = "/" } = request;
  if (raw.length > 2 * MAX_FIELDS) throw new HoldoverError("HEAD_FIELDS_TOO_MANY", { limit: MAX_FIELDS });
  if (httpVersion !== "1.1" && httpVersion !== "1.0") throw malformed(`HTTP/${httpVersion} does not look like this`);
  // TRACE sends back what the instance was sent, what the router added and any HttpOnly cookie included: it helps
  // attackers more than it ever helped a developer. CONNECT is for forward proxies.
  if (method === "TRACE" || method === "CONNECT") throw new HoldoverError("METHOD_REFUSED", { method });
  const hostField = hostFieldOf(raw, httpVersion);
  const target = originForm(method, url, hostField);
  return {
    method,
    target,
    path: pathOf(target),
    host: (hostField ?? "").toLowerCase().replace(/:\d*$/, "").replace(/\.$/, ""),
    hostField,
    body: bodyOf(raw, httpVersion),
    header: (name) => headerOf(raw, name),
  };
}

/**
 * May this request leave HTTP? Not one with a body: where that ends and the other protocol begins, servers disagree.
 * Not to h2c: through it a client could speak to an instance past every check of the router.
 */
export function mayUpgrade(request: IncomingMessage): boolean {
  const { rawHeaders: raw, httpVersion } = request;
  const lengths = valuesOf(raw, "content-length");
  if (httpVersion !== "1.1" || lengths.some((length) => length.trim() !== "0")) return false;
  return valuesOf(raw, "transfer-encoding").length === 0 && !tokensOf(raw, "upgrade").includes("h2c");
}

function hostFieldOf(raw: readonly string[], httpVersion: string): string | undefined {
  const [host, ...more] = valuesOf(raw, "host");
  if (more.length > 0) throw malformed("it has more than one Host field");
  if (host === undefined && httpVersion === "1.0") return undefined;
  if (host === undefined) throw malformed("it has no Host field");
  if (!/^(?:\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.test(host)) throw malformed("its Host field names no host");
  return host;
}

function originForm(method: string, url: string, hostField: string | undefined): string {
  if (url === "*" && method === "OPTIONS") return url;
  if (url.includes("#")) throw malformed("its target has a fragment");
  if (url.startsWith("/")) return url;
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(url);
  if (!absolute) throw malformed("its target is neither a path nor a URL of http or https");
  const [, authority = "", rest = ""] = absolute;
  // RFC 9112, 3.2.2: a client sends both alike; whoever sends them different wants two servers to disagree.
  if (authority.toLowerCase() !== hostField?.toLowerCase()) throw malformed("its target and its Host field differ");
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function bodyOf(raw: readonly string[], httpVersion: string): RequestHead["body"] {
  const codings = valuesOf(raw, "transfer-encoding");
  if (codings.length === 0) {
    return valuesOf(raw, "content-length").some((length) => length.trim() !== "0") ? "length" : "none";
  }
  // The parser takes `gzip, chunked` too, and a chunked body in HTTP/1.0; other servers read those in other ways.
  if (httpVersion === "1.0") throw malformed("HTTP/1.0 has no Transfer-Encoding");
  if (codings.length > 1 || codings[0]?.trim().toLowerCase() !== "chunked") {
    throw malformed("its Transfer-Encoding is not just `chunked`");
  }
  return "chunked";
}

/** Of a field given twice one server takes the first and another the last: the session would not be the same. */
function headerOf(raw: readonly string[], name: string): string | undefined {
  const values = valuesOf(raw, name);
  if (name === "cookie" && values.length > 0) return values.join("; ");
  if (values.length > 1) throw malformed(`it has more than one ${name} field`);
  return values[0];
}

export function malformed(problem: string): HoldoverError {
  return new HoldoverError("REQUEST_MALFORMED", { problem });
}

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { HoldoverError } from "@holdover/core";

/** What is answered on TCP without a token: probes and the description of the API, nothing of what Holdover runs. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/openapi.json"]);

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

export interface TokenOptions {
  /** What a caller must send; not empty. */
  readonly token: string;
  /** Where people find the token: named in the error. */
  readonly tokenFile: string;
}

/** Decides over a request that came in by TCP: null lets it pass. */
export type Gate = (request: IncomingMessage) => HoldoverError | null;

/**
 * The gate before everything that comes in by TCP. Any process and, by way of a browser, any web page can reach a
 * loopback port: hence the token, and the check that the browser was not led here under another name (DNS rebinding).
 */
export function createGate({ token, tokenFile }: TokenOptions): Gate {
  if (token === "") throw new HoldoverError("INTERNAL", { problem: "the API was given an empty token" });
  const expected = digestOf(token);
  return (request) => {
    const hosts = request.headersDistinct.host ?? [];
    if (hosts.length !== 1 || !LOOPBACK_HOST.test(hosts[0] ?? "")) {
      return new HoldoverError("REQUEST_INVALID", {
        problem: "The Host header has to be localhost or a loopback address, once.",
      });
    }
    if (OPEN_PATHS.has(pathOf(request))) return null;
    const sent = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
    // Digests have one length, so the comparison tells neither the length nor the beginning of the token by its time.
    if (sent !== undefined && timingSafeEqual(digestOf(sent), expected)) return null;
    return new HoldoverError("UNAUTHORIZED", { tokenFile });
  };
}

/** The path of a request as it was sent, without its query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

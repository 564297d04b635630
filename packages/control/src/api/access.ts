import type { IncomingMessage } from "node:http";
import { formatDuration, HoldoverError } from "@holdover/core";
import { FAILURES_MOST, FAILURES_PERIOD_MS, type FailedCalls } from "./failed-calls.ts";
import { isOfPage } from "./page-files.ts";
import type { Caller, Tokens } from "./tokens.ts";

/**
 * What is answered on TCP without a token, beside the page: probes, the description of the API, and a browser's sign-in, by
 * a code of its own. Nothing of what Holdover runs.
 */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/openapi.json", "/v1/sign-in"]);

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

export interface GateOptions {
  readonly tokens: Pick<Tokens, "callerOf">;
  /** Where people find the first token: named in the error. */
  readonly tokenFile: string;
  readonly failedCalls: FailedCalls;
  /** Whether the API is reached under this name besides those of loopback: by TLS, those of its certificate. */
  readonly isOurName: (host: string) => boolean;
}

/**
 * Decides over a request that came in by TCP: who calls, or null for what anybody may ask.
 * @throws HoldoverError REQUEST_INVALID, UNAUTHORIZED, TOO_MANY_FAILURES
 */
export type Gate = (request: IncomingMessage) => Caller | null;

/**
 * The gate before everything that comes in by TCP. Any process and, by way of a browser, any web page can reach a
 * loopback port: hence the token, and the check that the browser was not led here under another name (DNS rebinding).
 *
 * A valid token is let in however often others failed from its address: all of a machine share one on loopback, and 256
 * random bits are not to be guessed. What is bounded is how many failures are answered as such, and how often they are told of.
 */
export function createGate({ tokens, tokenFile, failedCalls, isOurName }: GateOptions): Gate {
  return (request) => {
    const hosts = request.headersDistinct.host ?? [];
    const [host = ""] = hosts;
    if (hosts.length !== 1 || (!LOOPBACK_HOST.test(host) && !isOurName(host.replace(/:\d{1,5}$/, "")))) {
      throw new HoldoverError("REQUEST_INVALID", {
        problem: "The Host header has to be localhost, a loopback address or a name of the certificate, once.",
      });
    }
    const path = pathOf(request);
    if (OPEN_PATHS.has(path) || isOfPage(path)) return null;
    const sent = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
    const caller = tokens.callerOf(sent ?? "");
    if (caller) return caller;
    countFailure(failedCalls, request);
    throw new HoldoverError("UNAUTHORIZED", { tokenFile });
  };
}

/**
 * Counts a call that nobody was let in with.
 * @throws HoldoverError TOO_MANY_FAILURES
 */
export function countFailure(failedCalls: FailedCalls, request: IncomingMessage): void {
  if (!failedCalls.add(request.socket.remoteAddress ?? "")) return;
  const period = formatDuration(FAILURES_PERIOD_MS);
  throw new HoldoverError("TOO_MANY_FAILURES", { limit: FAILURES_MOST, period });
}

/** The path of a request as it was sent, without its query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

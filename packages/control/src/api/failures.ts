import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { asHoldoverError, formatDuration, HoldoverError } from "@holdover/core";
import type { z } from "zod";
import { FAILURES_PERIOD_MS } from "./failed-calls.ts";

/** Bytes that the body of a request may have: the longest, a service's definition, has a few thousand. */
export const BODY_BYTES = 1024 * 1024;
/** Bytes that the head of a request may have. */
export const HEAD_BYTES = 16_384;
/** How long the head of a request may take, in ms. */
export const HEAD_TIMEOUT_MS = 10_000;

/** What fastify itself finds wrong with a request, in our words. */
const REQUEST_PROBLEMS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: "The body is not valid JSON.",
  FST_ERR_CTP_BODY_TOO_LARGE: "The body is longer than this call takes.",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "The body has to be JSON: send Content-Type: application/json.",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "The body is not as long as its Content-Length says.",
  FST_ERR_BAD_URL: "The path is not a valid one: check its percent-encoding.",
  FST_ERR_MAX_PARAM_LENGTH: "A part of the path is too long.",
};

/** Whatever a handler or fastify threw, as an error of the table. */
export function failureOf(thrown: unknown): HoldoverError {
  if (thrown instanceof HoldoverError || !(thrown instanceof Error)) return asHoldoverError(thrown);
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
  const known = REQUEST_PROBLEMS[code];
  if (known !== undefined) return new HoldoverError("REQUEST_INVALID", { problem: known }, { cause: thrown });
  const status = "statusCode" in thrown && typeof thrown.statusCode === "number" ? thrown.statusCode : 500;
  if (status >= 400 && status < 500) {
    return new HoldoverError("REQUEST_INVALID", { problem: thrown.message }, { cause: thrown });
  }
  return asHoldoverError(thrown);
}

/** At most this many of a request's faults are told at once. */
const FAULTS_TOLD = 3;

/**
 * A request that does not fit its schema, as one sentence that names each field and what it has to be.
 * @param part where the fields are: body, query, path or header
 */
export function requestInvalid(part: string, error: z.ZodError): HoldoverError {
  const faults = error.issues.slice(0, FAULTS_TOLD).map((issue) => {
    const field = [part, ...issue.path.map(String)].join(".");
    return `${field}: ${issue.message}`;
  });
  return new HoldoverError("REQUEST_INVALID", { problem: faults.join("; ") }, { cause: error });
}

/** The body of every answer that is no success. */
export function bodyOf(failure: HoldoverError): string {
  return JSON.stringify({ error: failure.body() });
}

/** Answers a request that is not let in, before the application sees it. */
export function refuse(request: IncomingMessage, response: ServerResponse, failure: HoldoverError): void {
  const body = bodyOf(failure);
  response.writeHead(failure.status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...(failure.code === "UNAUTHORIZED" && { "www-authenticate": "Bearer" }),
    ...(failure.code === "TOO_MANY_FAILURES" && { "retry-after": String(FAILURES_PERIOD_MS / 1000) }),
    // Its body is not read, so nothing can follow on this connection.
    connection: "close",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Answers what could not be read as HTTP at all, and closes the connection. */
export function refuseMalformed(error: Error & { code?: string }, socket: Duplex & { bytesWritten?: number }): void {
  // What was begun cannot be taken back: an answer in the middle of another one would only corrupt it.
  if (!socket.writable || error.code === "ECONNRESET" || (socket.bytesWritten ?? 0) > 0) {
    socket.destroy();
    return;
  }
  const failure = malformedBy(error.code);
  const body = bodyOf(failure);
  socket.end(
    `HTTP/1.1 ${failure.status} Bad Request\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function malformedBy(code: string | undefined): HoldoverError {
  if (code === "HPE_HEADER_OVERFLOW") return new HoldoverError("HEAD_TOO_LARGE", { limit: HEAD_BYTES });
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new HoldoverError("HEAD_TOO_SLOW", { timeout: formatDuration(HEAD_TIMEOUT_MS) });
  }
  return new HoldoverError("REQUEST_MALFORMED", { problem: "it is not HTTP/1.1" });
}

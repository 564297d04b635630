import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { REQUEST_FIELD, type ErrorBody, type HoldoverError } from "@holdover/core";
import { softClose } from "./soft-close.ts";

/**
 * Answers in the router's own name: `{"error":{code,what,next,details}}`. The connection is kept where the next request
 * on it is sure to begin where we think it does; otherwise it is closed, softly.
 * @param id what the request is called
 * @param waitMs how long the client may take to read a last answer and close
 */
export function answerError(
  request: IncomingMessage,
  response: ServerResponse,
  error: HoldoverError,
  id: string,
  waitMs: number,
): void {
  const { socket } = request;
  if (response.headersSent || socket.destroyed) {
    socket.destroy();
    return;
  }
  const unread =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  const doubtful = error.code === "REQUEST_MALFORMED" || error.code === "HEAD_FIELDS_TOO_MANY";
  if (unread || doubtful || request.headers.expect !== undefined) {
    request.unpipe();
    request.resume();
    answerOnSocket(socket, error, id, waitMs, request.method);
    return;
  }
  const { fields, body } = messageOf(error, id);
  response.writeHead(error.status, fields);
  response.end(body);
}

/** The same for a connection that node:http does not answer on: a head that is none, or an upgrade. It is closed. */
export function answerOnSocket(socket: Socket, error: HoldoverError, id: string, waitMs: number, method = "GET"): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { fields, body } = messageOf(error, id);
  const lines = [`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}`];
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  socket.write(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n${method === "HEAD" ? "" : body}`);
  socket.resume();
  softClose(socket, waitMs);
}

/** What a stranger may know: a fault inside is named by its code alone, without the paths and words of this machine. */
function publicBody(error: HoldoverError): ErrorBody {
  if (error.code !== "STORE_FAILED" && error.code !== "INTERNAL") return error.body();
  return {
    code: error.code,
    what: "Holdover cannot take this session now.",
    next: "Try again in a moment; its operator finds the cause in the log of host.",
    details: {},
  };
}

function messageOf(error: HoldoverError, id: string): { fields: string[]; body: string } {
  const body = `${JSON.stringify({ error: publicBody(error) })}\n`;
  const fields = [
    ["Content-Type", "application/json; charset=utf-8"],
    ["Content-Length", String(Buffer.byteLength(body))],
    ["Cache-Control", "no-store"],
    [REQUEST_FIELD, id],
    ...(error.status === 503 ? [["Retry-After", "1"]] : []),
  ].flat();
  return { fields, body };
}

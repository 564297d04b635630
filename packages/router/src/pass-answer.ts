import type { IncomingMessage, InformationEvent, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { REQUEST_FIELD } from "@holdover/core";
import { endToEndFields, trailerFields, valuesOf } from "./end-to-end-fields.ts";

/**
 * The head of an instance's answer at the most, bytes: four times what node:http takes by default, since an application
 * may set many cookies, and a bound all the same.
 */
export const ANSWER_HEAD_BYTES = 65_536;

/** An instance's answer on its way to the client. */
export interface PassedAnswer {
  /** Ends the answer as if it were complete, with what has come so far. */
  endEarly(): void;
  /** Breaks it off, so that the client cannot take it for complete. */
  breakOff(): void;
}

export interface AnswerOptions {
  /** Close the client's connection after it. */
  readonly close: boolean;
  /** What the request is called. */
  readonly id: string;
  /** More fields of the router's own: names and values in turn. */
  readonly extra: readonly string[];
}

/** Nobody could say where the body ends, or it would reach the client under a coding that it was not told of. */
export function framingProblem(answer: IncomingMessage): string | null {
  const codings = valuesOf(answer.rawHeaders, "transfer-encoding");
  if (codings.every((coding) => coding.trim().toLowerCase() === "chunked")) return null;
  return `it answered with Transfer-Encoding ${codings.join(", ")}`;
}

/**
 * Streams an answer to the client as it comes, under back-pressure: head at once, body, trailers. An answer that breaks
 * off is broken off towards the client, too.
 * @throws TypeError, RangeError for a head that node:http does not write; nothing has been written then
 */
export function passAnswer(answer: IncomingMessage, response: ServerResponse, options: AnswerOptions): PassedAnswer {
  const { statusCode: status = 0, statusMessage = "", rawHeaders } = answer;
  const { method, httpVersion } = response.req;
  const hasLength = status !== 204 && valuesOf(rawHeaders, "content-length").length > 0;
  const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
  const chunked = hasBody && !hasLength && httpVersion === "1.1";
  const fields = endToEndFields(
    rawHeaders,
    // A Trailer field without chunks promises what cannot come; a 204 has no length (RFC 9110, 8.6).
    (name) =>
      (name === "trailer" && !chunked) || (name === "content-length" && !hasLength) || name === "holdover-request",
  );
  if (options.close) response.shouldKeepAlive = false;
  response.writeHead(status, statusMessage, [...fields, REQUEST_FIELD, options.id, ...options.extra]);

  let passing = true;
  // The head of a stream of events must not wait for its first event. A body that is here already goes with it in one
  // packet, so wait until this turn's bytes have been read.
  const flush = setImmediate(() => response.flushHeaders());
  answer.once("data", () => clearImmediate(flush));

  const stop = () => {
    if (!passing) return false;
    passing = false;
    clearImmediate(flush);
    answer.unpipe(response);
    return true;
  };
  const breakOff = () => {
    if (!stop()) return;
    // Where only the end of the connection ends the body, a FIN would make what is cut short look complete.
    if (hasLength || chunked) response.destroy();
    else response.socket?.resetAndDestroy();
  };
  answer.on("error", breakOff);
  answer.on("close", () => {
    if (!answer.complete) breakOff();
  });
  answer.on("end", () => {
    if (!answer.complete || !stop()) return;
    const trailers = chunked ? trailerFields(answer.rawTrailers) : [];
    if (trailers.length > 0) response.addTrailers(trailers);
    response.end();
  });
  response.on("close", () => {
    if (!stop()) return;
    answer.destroy();
  });
  answer.pipe(response, { end: false });

  return {
    breakOff,
    endEarly: () => {
      if (!stop()) return;
      answer.destroy();
      response.end();
    },
  };
}

/**
 * Passes a 1xx answer on, whatever its number. It is written by hand because node:http knows three of them and would
 * drop fields of those. A client of HTTP/1.0 would not understand any (RFC 9110, 15.2).
 */
export function passInterim(interim: InformationEvent, httpVersion: string, socket: Socket | null): void {
  if (httpVersion !== "1.1" || !socket?.writable || interim.statusCode === 101) return;
  const fields = endToEndFields(interim.rawHeaders, () => false);
  const lines = [`HTTP/1.1 ${interim.statusCode} ${interim.statusMessage}`];
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

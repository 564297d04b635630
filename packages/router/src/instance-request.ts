import type { IncomingMessage } from "node:http";
import type { RoutedService } from "@holdover/core";
import { endToEndFields, tokensOf } from "./end-to-end-fields.ts";
import { forwardedFields, isForwardedField } from "./forwarded-headers.ts";
import type { Hold } from "./hold.ts";
import { withoutKeylessCookie } from "./keyless-cookie.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestRecord } from "./request-record.ts";
import { isSessionField, sessionFields } from "./session-fields.ts";

/** A request that is to be forwarded, read and routed. */
export interface RoutedRequest {
  readonly request: IncomingMessage;
  readonly head: RequestHead;
  readonly service: RoutedService;
  /** The client's connection is encrypted, as far as we know or are told. */
  readonly secure: boolean;
  readonly record: RequestRecord;
}

/**
 * The fields of a request as its instance gets them, names and values in turn: the client's own without those of its
 * connection, what the router knows of the client, the session and the request, and `connection`. Host goes on unchanged.
 */
export function instanceFields(
  routed: RoutedRequest,
  hold: Hold,
  trustForwarded: boolean,
  connection: readonly string[],
): string[] {
  const { request, head, service, record } = routed;
  const raw = request.rawHeaders;
  const chunked = head.body === "chunked";
  const fields = endToEndFields(
    raw,
    (name) =>
      isForwardedField(name) ||
      isSessionField(name) ||
      record.replaces(name) ||
      name === "cookie" ||
      (name === "trailer" && !chunked),
  );
  if (head.hostField === undefined) fields.unshift("Host", `${hold.host}:${hold.port}`);
  const cookie = head.header("cookie");
  const kept = cookie === undefined ? undefined : withoutKeylessCookie(cookie, service);
  if (kept !== undefined) fields.push("Cookie", kept);
  const client = {
    address: request.socket.remoteAddress,
    port: request.socket.localPort,
    secure: "encrypted" in request.socket,
    host: head.hostField,
  };
  fields.push(...forwardedFields(raw, client, trustForwarded), ...sessionFields(hold), ...record.fields());
  const options = [...connection];
  // The one coding that is about more than this connection: the client wants trailers (gRPC-like protocols ask for it).
  if (tokensOf(raw, "te").some((token) => token.split(";")[0]?.trim() === "trailers")) {
    fields.push("TE", "trailers");
    options.push("TE");
  }
  fields.push("Connection", options.join(", "));
  if (chunked) fields.push("Transfer-Encoding", "chunked");
  return fields;
}

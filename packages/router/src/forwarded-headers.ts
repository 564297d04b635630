import { valuesOf } from "./end-to-end-fields.ts";

/** What the router itself knows of a client's connection. */
export interface ClientSide {
  /** Undefined when it has gone already. */
  readonly address: string | undefined;
  /** The port it connected to. */
  readonly port: number | undefined;
  readonly secure: boolean;
  /** The Host field as it came; undefined for none. */
  readonly host: string | undefined;
}

/**
 * Fields in which a proxy tells of the client. Unless the one in front of this router is trusted, a client's own are
 * dropped, all of them: an application that believes any would believe whatever a client likes to write. The underscore
 * is taken for a dash, because CGI-like servers cannot tell the two apart.
 */
export function isForwardedField(name: string): boolean {
  const dashed = name.replaceAll("_", "-");
  return dashed === "forwarded" || dashed === "x-real-ip" || dashed.startsWith("x-forwarded-");
}

/**
 * X-Forwarded-For, -Proto, -Host, -Port and Forwarded (RFC 7239) for the instance. With `trust`, the lists
 * (X-Forwarded-For and Forwarded) are continued, and Proto, Host and Port are left as the proxy in front gave them: it
 * alone knows what the client saw.
 *
 * No Via: Forwarded says more, and some servers (nginx) turn compression off where they see a Via.
 *
 * @param raw the client's fields
 * @returns names and values in turn; they replace every {@link isForwardedField}, those of `raw` that stay included
 */
export function forwardedFields(raw: readonly string[], client: ClientSide, trust: boolean): string[] {
  const address = client.address?.replace(/^::ffff:(?=\d+\.)/, "") ?? "unknown";
  const proto = client.secure ? "https" : "http";
  const fields: string[] = [];
  const given = (name: string) => (trust ? valuesOf(raw, name) : []);
  const once = (name: string, own: string | undefined) => {
    const before = given(name.toLowerCase());
    const value = before.length > 0 ? before.join(", ") : own;
    if (value !== undefined) fields.push(name, value);
  };
  fields.push("X-Forwarded-For", [...given("x-forwarded-for"), address].join(", "));
  once("X-Forwarded-Proto", proto);
  once("X-Forwarded-Host", client.host);
  once("X-Forwarded-Port", client.port?.toString());
  const element = [`for=${quoted(address.includes(":") ? `[${address}]` : address)}`];
  if (client.host !== undefined) element.push(`host=${quoted(client.host)}`);
  element.push(`proto=${proto}`);
  fields.push("Forwarded", [...given("forwarded"), element.join(";")].join(", "));
  if (trust) fields.push(...othersOf(raw));
  return fields;
}

const SET_HERE = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"]);

function othersOf(raw: readonly string[]): string[] {
  const others: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase();
    if (isForwardedField(name) && !SET_HERE.has(name.replaceAll("_", "-"))) {
      others.push(raw[at] as string, raw[at + 1] as string);
    }
  }
  return others;
}

/** A token as it is, anything else as a quoted string (RFC 7239, 4: an IPv6 address and a port have to be quoted). */
function quoted(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}

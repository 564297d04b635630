import { HoldoverError } from "@holdover/core";

/**
 * Reads `host:port`; an IPv6 host stands in brackets.
 * @throws HoldoverError LISTEN_FAILED
 */
export function parseAddress(address: string, setting: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(at + 1));
  if (at > 0 && Number.isInteger(port) && port >= 0 && port <= 65_535) return { host, port };
  throw new HoldoverError("LISTEN_FAILED", { address, problem: "a port is a number from 0 to 65535", setting });
}

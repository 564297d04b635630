import { isIPv4, isIPv6, type Server } from "node:net";
import { HoldoverError, problemOf } from "@holdover/core";
import { bound, codeOf } from "./binding.ts";

/** The setting of holdover.yaml that has this address. */
const SETTING = "api";

/**
 * Listens on a TCP port: of the loopback interface and of no other, unless by TLS.
 * @param host `localhost`, an address of 127.0.0.0/8, or `::1` with or without brackets; by TLS any address
 * @param port 0 for one that is free
 * @returns the URL to call
 * @throws HoldoverError PORT_TAKEN, LISTEN_FAILED
 */
export async function listenOnTcp(server: Server, host: string, port: number, tls: boolean): Promise<string> {
  const address = `${host}:${port}`;
  const ip = loopbackOf(host) ?? (tls ? anyOf(host) : null);
  if (ip === null) {
    throw new HoldoverError("LISTEN_FAILED", {
      address,
      problem: tls
        ? "write the address of an interface, or 0.0.0.0 for all"
        : "without `apiTls` the API listens on a loopback address only",
      setting: SETTING,
    });
  }
  try {
    await bound(server, () => server.listen({ host: ip, port }));
  } catch (cause) {
    if (codeOf(cause) === "EADDRINUSE") throw new HoldoverError("PORT_TAKEN", { address, setting: SETTING }, { cause });
    throw new HoldoverError("LISTEN_FAILED", { address, problem: problemOf(cause), setting: SETTING }, { cause });
  }
  const at = server.address();
  const given = typeof at === "object" && at !== null ? at.port : port;
  return `${tls ? "https" : "http"}://${isIPv6(ip) ? `[${ip}]` : ip}:${given}`;
}

/** Names are not looked up: what `localhost` resolves to is the resolver's word, not ours. */
function loopbackOf(host: string): string | null {
  if (host.toLowerCase() === "localhost") return "127.0.0.1";
  const ip = host.replace(/^\[(.*)\]$/, "$1");
  if (ip === "::1" || (isIPv4(ip) && ip.startsWith("127."))) return ip;
  return null;
}

function anyOf(host: string): string | null {
  const ip = host.replace(/^\[(.*)\]$/, "$1");
  return isIPv4(ip) || isIPv6(ip) ? ip : null;
}

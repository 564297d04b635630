import type { HoldoverConfig } from "@holdover/core";
import { rangeOf, spotOf, type ConfigDocument } from "./document.ts";
import type { ConfigIssue } from "./issue.ts";

/** The longest path of a unix socket, in bytes: one less than the kernel's field, for the closing zero. */
const SOCKET_PATH_BYTES = process.platform === "darwin" ? 103 : 107;

/** What is wrong although every single value is right. */
export function conflicts(document: ConfigDocument, config: HoldoverConfig, socket: string): ConfigIssue[] {
  return [
    ...sharedAddresses(document, config),
    ...wrongListeners(document, config),
    ...longSocket(document, socket),
  ].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function sharedAddresses(document: ConfigDocument, config: HoldoverConfig): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const taken = new Map<string, string>();
  for (const [name, service] of Object.entries(config.services)) {
    // The router takes /chat and /chat/ for the same prefix.
    const path = service.path.replace(/\/+$/, "") || "/";
    for (const [index, host] of (service.hosts.length > 0 ? service.hosts : [undefined]).entries()) {
      const address = `${host ?? ""} ${path}`;
      const other = taken.get(address);
      if (other === undefined || other === name) {
        taken.set(address, name);
        continue;
      }
      const base = ["services", name];
      const spots = [
        [...base, "hosts", index],
        [...base, "path"],
      ].map((at) => spotOf(document, at).value);
      issues.push({
        ...rangeOf(document, spots.find((spot) => spot !== undefined) ?? spotOf(document, base).key),
        problem: `service \`${name}\` answers for the same ${host ? `host ${host}` : "hosts (any)"} and path ${path} as service \`${other}\``,
        remedy: "Give one of the two another `hosts` or `path`.",
      });
      break;
    }
  }
  return issues;
}

function wrongListeners(document: ConfigDocument, config: HoldoverConfig): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const { host, port } = partsOf(config.api);
  if (!isLoopback(host) && !config.apiTls) {
    issues.push({
      ...rangeOf(document, spotOf(document, ["api"]).value),
      problem: `\`api\` is ${config.api}, and without TLS the control API answers on loopback only`,
      remedy: `Write \`api: 127.0.0.1:${port}\`, or name a certificate: \`apiTls: { cert: FILE, key: FILE }\`.`,
    });
  }
  if (config.listen === config.api && !config.listen.endsWith(":0")) {
    const { value } = spotOf(document, ["api"]);
    issues.push({
      ...rangeOf(document, value ?? spotOf(document, ["listen"]).value),
      problem: `\`listen\` and \`api\` are both ${config.api}`,
      remedy: "Give each an address of its own.",
    });
  }
  return issues;
}

function longSocket(document: ConfigDocument, socket: string): ConfigIssue[] {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= SOCKET_PATH_BYTES) return [];
  return [
    {
      ...rangeOf(document, spotOf(document, ["state"]).value),
      problem: `the path of the control socket would be ${bytes} bytes long, and a unix socket takes ${SOCKET_PATH_BYTES}`,
      remedy: "Name a directory with a shorter path, for example `state: /var/lib/holdover`.",
    },
  ];
}

function partsOf(address: string): { host: string; port: string } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: address.slice(at + 1) };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

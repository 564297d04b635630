import { z } from "zod";
import type { Instance } from "./instance.ts";
import { admissionOf, type ReleaseRecord, type ServiceRecord } from "./release.ts";

const routedInstance = z.object({
  id: z.string(),
  host: z.string(),
  port: z.int().min(1).max(65_535),
  /** Sessions it takes at the most; null: no limit. */
  capacity: z.int().min(1).nullable(),
});

const routedRelease = z.object({
  id: z.string(),
  admission: z.enum(["new", "existing", "none"]),
  /** Percent of the new sessions that it takes ahead of the current release; 100 for the current release itself. */
  percent: z.number().min(0).max(100),
  /** How what is left on it is being ended, paced by the disconnect cap; null: not at all. */
  ending: z.enum(["moved", "cut"]).nullable(),
  instances: z.array(routedInstance),
});

const routedService = z.object({
  name: z.string(),
  hosts: z.array(z.string()),
  path: z.string(),
  key: z.array(
    z.union([
      z.strictObject({ header: z.string() }),
      z.strictObject({ query: z.string() }),
      z.strictObject({ path: z.string() }),
      z.strictObject({ cookie: z.string() }),
    ]),
  ),
  lingerMs: z.number().min(0),
  disconnects: z.object({ atOnce: z.number().gt(0).max(1), periodMs: z.number().gt(0) }),
  releases: z.array(routedRelease),
});

/**
 * The numbered list of releases, what each admits, and its instances. A router follows the table with the highest
 * number it has seen, and goes on with it while control is away.
 */
export const routingTable = z.object({ number: z.int().min(0), services: z.array(routedService) });

export type RoutingTable = z.output<typeof routingTable>;
export type RoutedService = z.output<typeof routedService>;
export type RoutedRelease = z.output<typeof routedRelease>;
export type RoutedInstance = z.output<typeof routedInstance>;

/**
 * The services part of the table that follows from what is true now: only releases that hold sessions or may do so
 * next (ready ones, which admit none yet), only instances that are ready. Ramping releases come first: placing takes the first release whose share has the key.
 */
export function routedServices(
  services: readonly ServiceRecord[],
  instances: readonly Instance[],
  nowMs: number,
): RoutedService[] {
  return services.map((service) => ({
    name: service.name,
    hosts: service.definition.hosts,
    path: service.definition.path,
    key: service.definition.session.key,
    lingerMs: service.definition.session.linger,
    disconnects: { atOnce: service.definition.disconnects.atOnce, periodMs: service.definition.disconnects.period },
    releases: service.releases
      .filter((release) => release.state.name === "ready" || admissionOf(release.state) !== "none")
      .toSorted((a, b) => Number(b.state.name === "ramping") - Number(a.state.name === "ramping"))
      .map((release) => routedReleaseOf(service.name, release, instances, nowMs)),
  }));
}

function routedReleaseOf(
  service: string,
  release: ReleaseRecord,
  instances: readonly Instance[],
  nowMs: number,
): RoutedRelease {
  const { state } = release;
  return {
    id: release.id,
    admission: admissionOf(state),
    percent: state.name === "current" ? 100 : state.name === "ramping" ? state.percent : 0,
    ending: state.name === "expiring" ? (nowMs < state.graceUntilMs ? "moved" : "cut") : null,
    instances: instances
      .filter(
        (instance) =>
          instance.service === service && instance.release === release.id && instance.state.name === "ready",
      )
      .map((instance) => ({
        id: instance.id,
        host: instance.host,
        port: instance.port,
        capacity: release.definition.capacity ?? null,
      })),
  };
}

/**
 * The service that answers for a host and a path: the most exact host, then the longest prefix, then the first declared.
 * @param host in lower case, without a port
 * @param path without a query
 */
export function serviceFor(table: RoutingTable, host: string, path: string): RoutedService | undefined {
  let best: { service: RoutedService; host: number; prefix: number } | undefined;
  for (const service of table.services) {
    const prefix = bare(service.path);
    const match = { service, host: rankOfHost(service.hosts, host), prefix: prefix.length };
    if (match.host === 0 || !underPrefix(path, prefix)) continue;
    if (!best || match.host > best.host || (match.host === best.host && match.prefix > best.prefix)) best = match;
  }
  return best?.service;
}

/** 0: does not answer for it; else the higher, the more exact. Of two wildcards the longer is the more exact. */
function rankOfHost(hosts: readonly string[], host: string): number {
  if (hosts.length === 0) return 1;
  if (hosts.includes(host)) return Number.POSITIVE_INFINITY;
  let longest = 0;
  for (const pattern of hosts) {
    if (pattern.length > longest && pattern.startsWith("*.") && host.endsWith(pattern.slice(1)))
      longest = pattern.length;
  }
  return longest;
}

function bare(prefix: string): string {
  return prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
}

function underPrefix(path: string, prefix: string): boolean {
  return prefix === "" || path === prefix || path.startsWith(`${prefix}/`);
}

import { z } from "zod";
import type { Instance } from "./instance.ts";
import { lingerAt } from "./affinity-ramp.ts";
import { admissionOf, type ReleaseRecord, type Restart, type ServiceRecord } from "./release.ts";
import type { ServiceDefinition } from "./service.ts";

const place = z.union([
  z.strictObject({ header: z.string() }),
  z.strictObject({ query: z.string() }),
  z.strictObject({ path: z.string() }),
  z.strictObject({ cookie: z.string() }),
]);

const routedInstance = z.object({
  id: z.string(),
  host: z.string(),
  port: z.int().min(1).max(65_535),
  /** Sessions it takes at the most; null: no limit. */
  capacity: z.int().min(1).nullable(),
  /** `existing`: it is being replaced, and no session is placed on it any more. */
  admission: z.enum(["new", "existing"]),
  /** How what is left on this instance alone is being ended, as of a whole release; null: not at all. */
  ending: z.enum(["moved", "cut"]).nullable(),
});

const routedRelease = z.object({
  id: z.string(),
  admission: z.enum(["new", "existing", "none"]),
  /** Percent of the new sessions that it takes ahead of the current release; 100 for the current release itself. */
  percent: z.number().min(0).max(100),
  /** How what is left on it is being ended, paced by the disconnect cap; null: not at all. */
  ending: z.enum(["moved", "cut"]).nullable(),
  /** How long a session that a client uses from now on keeps its place without a connection. What was promised before holds. */
  lingerMs: z.number().min(0),
  /** When what is live on it has to have ended, epoch ms: the end of its window, then of its grace; null: no such time. */
  deadlineMs: z.number().nullable(),
  /** For a retained release: when a session counts as wedged, and whether it is then cut; null: nobody asks. */
  wedged: z.object({ afterMs: z.number().gt(0), cut: z.boolean() }).nullable(),
  instances: z.array(routedInstance),
});

const routedService = z.object({
  name: z.string(),
  hosts: z.array(z.string()),
  path: z.string(),
  key: z.array(place),
  /** Where a first request carries the label, and the values that count; null: sessions have none. */
  label: z.object({ from: z.array(place), values: z.array(z.string()) }).nullable(),
  disconnects: z.object({ atOnce: z.number().gt(0).max(1), periodMs: z.number().gt(0) }),
  /** How long a session keeps its place without a connection where nobody knows what was promised: the normal linger. */
  lingerMs: z.number().min(0),
  /** How long a connection may last, and how long past that it may wait for a quiet moment; null: no limit. */
  connectionAge: z.object({ maxMs: z.number().gt(0), graceMs: z.number().min(0) }).nullable(),
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
    label: labelOf(service.definition),
    disconnects: { atOnce: service.definition.disconnects.atOnce, periodMs: service.definition.disconnects.period },
    lingerMs: service.definition.session.linger,
    connectionAge: connectionAgeOf(service.definition),
    releases: service.releases
      .filter((release) => release.state.name === "ready" || admissionOf(release.state) !== "none")
      .toSorted((a, b) => Number(b.state.name === "ramping") - Number(a.state.name === "ramping"))
      .map((release) => routedReleaseOf(service, release, instances, nowMs)),
  }));
}

function labelOf({ session: { label } }: ServiceDefinition): RoutedService["label"] {
  return label ? { from: label.from, values: label.values } : null;
}

function connectionAgeOf({ maxConnectionAge, connectionAgeGrace }: ServiceDefinition): RoutedService["connectionAge"] {
  return maxConnectionAge === undefined ? null : { maxMs: maxConnectionAge, graceMs: connectionAgeGrace };
}

function routedReleaseOf(
  service: ServiceRecord,
  release: ReleaseRecord,
  instances: readonly Instance[],
  nowMs: number,
): RoutedRelease {
  const { state } = release;
  const { session, retention } = service.definition;
  return {
    id: release.id,
    admission: admissionOf(state),
    percent: state.name === "current" ? 100 : state.name === "ramping" ? state.percent : 0,
    ending: state.name === "expiring" ? (nowMs < state.graceUntilMs ? "moved" : "cut") : null,
    lingerMs: lingerAt(release.preparation, session.linger, nowMs),
    deadlineMs: state.name === "retained" ? state.deadlineMs : state.name === "expiring" ? state.graceUntilMs : null,
    wedged: state.name === "retained" ? { afterMs: retention.wedgedAfter, cut: retention.cutWedged } : null,
    instances: instances
      .filter(
        (instance) =>
          instance.service === service.name && instance.release === release.id && instance.state.name === "ready",
      )
      .map((instance) => routedInstanceOf(release, instance, nowMs)),
  };
}

function routedInstanceOf(release: ReleaseRecord, { id, host, port }: Instance, nowMs: number): RoutedInstance {
  const leaving = leavingOf(release.restart, id, nowMs);
  const admission = leaving === "no" ? "new" : "existing";
  const ending = leaving === "moved" || leaving === "cut" ? leaving : null;
  return { id, host, port, capacity: release.definition.capacity ?? null, admission, ending };
}

/** Whether a restart replaces an instance: its sessions first finish by themselves, then are asked to move, then are cut. */
function leavingOf(restart: Restart | null, instance: string, nowMs: number): "no" | "finish" | "moved" | "cut" {
  if (!restart?.leaving.includes(instance) || restart.leavingSinceMs === null) return "no";
  const moveAtMs = restart.leavingSinceMs + restart.waitMs;
  if (nowMs < moveAtMs) return "finish";
  return nowMs < moveAtMs + restart.graceMs ? "moved" : "cut";
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

import {
  HoldoverError,
  isAlive,
  isOver,
  serviceDefinition,
  starting,
  transition,
  type Instance,
  type ReleaseRecord,
  type ServiceDefinition,
  type ServiceRecord,
} from "@holdover/core";
import type { DeployRequest } from "./api/views.ts";
import type { Builds } from "./builds.ts";

/** So many releases that are over stay in the record of a service; the audit log keeps them all. */
const OVER_KEPT = 50;

export interface NewRelease {
  /** With the definition that the release is deployed with. */
  readonly service: ServiceRecord;
  readonly request: DeployRequest;
  readonly actor: string;
  readonly nowMs: number;
  /** Those that the platform remembers, of any release. */
  readonly instances: readonly Instance[];
  readonly builds: Builds;
}

/**
 * A release as a deploy begins it: new, or again under its id where it is over.
 * @throws HoldoverError RELEASE_EXISTS, DIRECTORY_MISSING, COMMAND_MISSING
 */
export async function newRelease(given: NewRelease): Promise<ReleaseRecord> {
  const { service, request, actor, nowMs, instances, builds } = given;
  const before = service.releases.find((release) => release.id === request.release);
  if (before && !isOver(before)) {
    throw new HoldoverError("RELEASE_EXISTS", { service: service.name, release: before.id, state: before.state.name });
  }
  if (before?.state.name === "retired" && before.snapshot !== null && request.dir === undefined) {
    return {
      ...transition(before, starting(nowMs)),
      intent: request.then,
      gatePassed: false,
      formats: null,
      allowStateLoss: request.allowStateLoss ?? false,
      deployedBy: actor,
      createdAtMs: nowMs,
    };
  }
  const dir = request.dir ?? service.definition.dir;
  if (dir === undefined) throw new HoldoverError("DIRECTORY_MISSING", { dir: "(none named)" });
  await builds.check(service.name, service.definition.command, dir);
  return {
    id: request.release,
    state: starting(nowMs),
    definition: service.definition,
    dir,
    snapshot: null,
    // A release that once ran must come back as it was; one that failed may have been mended.
    digest: before?.state.name === "retired" ? before.digest : null,
    intent: request.then,
    gatePassed: false,
    formats: null,
    allowStateLoss: request.allowStateLoss ?? false,
    deployedBy: actor,
    createdAtMs: nowMs,
    currentAtMs: before?.currentAtMs ?? 0,
    preparation: null,
    restart: null,
    nextOrdinal: before?.nextOrdinal ?? ordinalAfter(service.name, request.release, instances),
  };
}

/** Whether a release is the same deploy still, and not another one under the same id. */
export function isSameDeploy(release: ReleaseRecord, other: ReleaseRecord): boolean {
  return release.createdAtMs === other.createdAtMs && release.dir === other.dir;
}

/** The service without the releases that have been over the longest: its record would grow with every deploy for ever. */
export function withoutOldest(service: ServiceRecord, instances: readonly Instance[]): ServiceRecord {
  const inUse = new Set(
    instances.filter((one) => one.service === service.name && isAlive(one)).map((one) => one.release),
  );
  const dropped = new Set(
    service.releases
      .filter((release) => isOver(release) && release.snapshot === null && !inUse.has(release.id))
      .toSorted((a, b) => b.state.sinceMs - a.state.sinceMs)
      .slice(OVER_KEPT),
  );
  return { ...service, releases: service.releases.filter((release) => !dropped.has(release)) };
}

/** @throws HoldoverError DEPLOY_IN_PROGRESS */
export function refuseSecondDeploy(service: ServiceRecord): void {
  const under = service.releases.find(
    ({ state, intent }) =>
      state.name === "starting" || state.name === "ramping" || (state.name === "ready" && intent.then !== "wait"),
  );
  if (!under) return;
  throw new HoldoverError("DEPLOY_IN_PROGRESS", { service: service.name, release: under.id, state: under.state.name });
}

/**
 * Two services that answer for the same host and path: all requests would go to one of them, and nobody be told.
 * @param others what is in force, and what comes into force with a deploy that is under way
 * @throws HoldoverError CONFIG_INVALID
 */
export function refuseSharedAddress(
  name: string,
  definition: ServiceDefinition,
  others: readonly ServiceRecord[],
): void {
  const own = addressesOf(definition);
  for (const other of others) {
    if (other.name === name) continue;
    const coming = other.releases.filter((release) => release.currentAtMs === 0 && !isOver(release));
    const theirs = new Set([other, ...coming].flatMap((from) => addressesOf(from.definition)));
    const shared = own.find((address) => theirs.has(address));
    if (shared === undefined) continue;
    throw new HoldoverError("CONFIG_INVALID", {
      where: `services.${name}`,
      problem: `it answers for the same host and path (${shared}) as service ${other.name}`,
      remedy: "Give one of the two another `hosts` or `path`.",
    });
  }
}

/** @throws HoldoverError CONFIG_INVALID */
export function readDefinition(service: string, input: unknown): ServiceDefinition {
  const result = serviceDefinition.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new HoldoverError("CONFIG_INVALID", {
    where: ["services", service, ...(issue?.path ?? [])].join("."),
    problem: issue?.message ?? "it cannot be read",
    remedy: "Correct it in holdover.yaml and deploy again.",
  });
}

/** For an id whose record was dropped: no instance that is remembered may be met again under its name. */
function ordinalAfter(service: string, release: string, instances: readonly Instance[]): number {
  const ordinals = instances
    .filter((one) => one.service === service && one.release === release)
    .map((one) => Number(one.id.slice(one.id.lastIndexOf("-") + 1)));
  return Math.max(0, ...ordinals) + 1;
}

/** The router takes /chat and /chat/ for the same prefix. */
function addressesOf({ hosts, path }: ServiceDefinition): string[] {
  const prefix = path.replace(/\/+$/, "") || "/";
  return (hosts.length > 0 ? hosts : ["any host"]).map((host) => `${host} ${prefix}`);
}

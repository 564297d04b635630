import type { RoutedInstance, RoutedRelease, RoutedService } from "./routing-table.ts";

/** A place that a session without a pin could have. */
export interface Placement {
  readonly release: string;
  readonly instance: RoutedInstance;
}

/**
 * Where a session without a place goes, in this order:
 * 1. the release it was on, where its instance died and another instance of that release still takes sessions of its own;
 * 2. a ramping release whose share has this key;
 * 3. the current release.
 * Within the release: the ready instance with the fewest sessions that has room. Undefined: nothing takes it now.
 *
 * @param sessionsOn how many sessions live on an instance
 * @param eligible which instances are asked at all; left out: every one
 */
export function place(
  service: RoutedService,
  key: string,
  sessionsOn: (instance: string) => number,
  lastRelease?: string,
  eligible: (instance: string) => boolean = () => true,
): Placement | undefined {
  for (const release of candidates(service, key, lastRelease)) {
    const instance = leastLoaded(release, sessionsOn, eligible);
    if (instance) return { release: release.id, instance };
  }
  return undefined;
}

function* candidates(service: RoutedService, key: string, lastRelease: string | undefined): Generator<RoutedRelease> {
  const last = service.releases.find((release) => release.id === lastRelease);
  // One that is being ended is left, not gone back to.
  if (last && last.admission !== "none" && last.ending === null) yield last;
  for (const release of service.releases) if (release.admission === "new" && inShare(release, key)) yield release;
}

function leastLoaded(
  release: RoutedRelease,
  sessionsOn: (instance: string) => number,
  eligible: (instance: string) => boolean,
): RoutedInstance | undefined {
  let best: RoutedInstance | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const instance of release.instances) {
    if (instance.admission !== "new" || !eligible(instance.id)) continue;
    const sessions = sessionsOn(instance.id);
    if (sessions >= fewest || (instance.capacity !== null && sessions >= instance.capacity)) continue;
    best = instance;
    fewest = sessions;
  }
  return best;
}

/**
 * Whether a key falls into a release's share. The same key always falls on the same side for a release, so that a
 * larger percentage keeps all that a smaller one had; other releases draw other keys.
 */
function inShare(release: RoutedRelease, key: string): boolean {
  return (fnv1a(`${release.id}\n${key}`) / 2 ** 32) * 100 < release.percent;
}

/** FNV-1a, 32 bits (RFC 9923), over UTF-16 units, mixed once more so that keys which differ at the end alone spread. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  // The finaliser of MurmurHash3: FNV alone leaves the high bits of short keys close together.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

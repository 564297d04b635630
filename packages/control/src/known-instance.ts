import { HoldoverError, isAlive, type Instance, type KnownInstance, type ReleaseStateName } from "@holdover/core";

/**
 * What an instance is, where it runs and its release may still hold sessions; null for any other.
 * @param instances null where the host has not told them
 * @param stateOf throws SERVICE_UNKNOWN or RELEASE_UNKNOWN where there is no such release
 * @throws HoldoverError LINK_DOWN where nobody can tell now
 */
export function knownInstance(
  id: string,
  instances: readonly Instance[] | null,
  stateOf: (service: string, release: string) => ReleaseStateName,
): KnownInstance | null {
  if (!instances) throw new HoldoverError("LINK_DOWN");
  const instance = instances.find((one) => one.id === id && isAlive(one));
  if (!instance) return null;
  const { service, release } = instance;
  try {
    const state = stateOf(service, release);
    return state === "retired" || state === "failed" ? null : { service, release };
  } catch (thrown) {
    // An instance of a release that control does not know is left from a database that was lost.
    if (thrown instanceof HoldoverError && /^(SERVICE|RELEASE)_UNKNOWN$/.test(thrown.code)) return null;
    throw thrown;
  }
}

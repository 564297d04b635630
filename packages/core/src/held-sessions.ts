import type { Instance } from "./instance.ts";
import { sessionsOn, type SessionCount } from "./session.ts";

/** Sessions that a release holds now, open or lingering; null where nobody can count them, which is not zero. */
export function heldSessions(
  service: string,
  release: string | undefined,
  {
    instances,
    sessions,
  }: {
    readonly instances: readonly Instance[] | null;
    readonly sessions: ReadonlyMap<string, SessionCount> | null;
  },
): number | null {
  const own = instances?.filter((one) => one.service === service && one.release === release);
  return own ? (sessionsOn(own, sessions) ?? null) : null;
}

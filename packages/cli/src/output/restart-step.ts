import type { ReleaseView } from "../api-client.ts";
import { moment } from "./moment.ts";

type Restarting = NonNullable<ReleaseView["restart"]>;

const NAMED = 3;

/** What a rolling restart does at this moment with the instances whose turn it is. */
export function restartStep({ leaving, leavingSinceMs, waitMs, graceMs }: Restarting, nowMs: number): string {
  const names = namesOf(leaving);
  if (leavingSinceMs === null) return `replacements of ${names} are starting`;
  const moveAtMs = leavingSinceMs + waitMs;
  if (nowMs < moveAtMs) return `what is left on ${names} is asked to move at ${moment(moveAtMs, nowMs)}`;
  const cutAtMs = moveAtMs + graceMs;
  if (nowMs < cutAtMs) return `what is left on ${names} is asked to move, and cut at ${moment(cutAtMs, nowMs)}`;
  return `what is left on ${names} is cut`;
}

/** "rooms-v1-1, rooms-v1-2"; of many the first few. */
export function namesOf(instances: readonly string[]): string {
  const more = instances.length - NAMED;
  if (more <= 1) return instances.join(", ");
  return `${instances.slice(0, NAMED).join(", ")} and ${more} more`;
}

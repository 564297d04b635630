import type { ServiceView } from "@holdover/control/api";
import type { StoryEvent } from "./lane-story.ts";

/** From when until when a release took new sessions. Open ends are infinite. */
export interface Admission {
  readonly fromMs: number;
  readonly toMs: number;
}

/** As the story tells it; before its first handover the release that was then left took them. */
export function admissionsOf(events: readonly StoryEvent[], current: ServiceView["current"]): Map<string, Admission[]> {
  const admissions = new Map<string, Admission[]>();
  const since = new Map<string, number>();
  const end = (release: string, toMs: number) => {
    const fromMs = since.get(release);
    since.delete(release);
    if (fromMs !== undefined) admissions.set(release, [...(admissions.get(release) ?? []), { fromMs, toMs }]);
  };
  const first = events.find(({ kind }) => TAKES_NEW.has(kind));
  const before = first ? first.from : (current ?? undefined);
  if (before !== undefined) since.set(before, -Infinity);
  for (const { kind, release, atMs } of events) {
    if (kind === "cutover" || kind === "rollback") {
      for (const other of since.keys()) if (other !== release) end(other, atMs);
    }
    if (TAKES_NEW.has(kind)) since.set(release, since.get(release) ?? atMs);
    else if (kind !== "starting") end(release, atMs);
  }
  for (const release of since.keys()) end(release, Infinity);
  return admissions;
}

const TAKES_NEW = new Set<StoryEvent["kind"]>(["ramping", "cutover", "rollback"]);

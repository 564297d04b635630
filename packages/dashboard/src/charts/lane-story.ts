import type { ServiceView, TimelineView } from "@holdover/control/api";

/** What happened to releases, as it is drawn: which release handed over to which, and what needs no mark of its own. */

type Mark = TimelineView["marks"][number];

export type EventKind = "starting" | "ramping" | "cutover" | "rollback" | "expiring" | "retired" | "failed";

export interface StoryEvent {
  readonly seq: number;
  readonly atMs: number;
  readonly kind: EventKind;
  readonly release: string;
  /** The release that new sessions went to before; undefined: none is known, or nothing is handed over. */
  readonly from: string | undefined;
  readonly actor: string;
  readonly reason: string;
}

const KINDS: Record<Mark["kind"], EventKind> = {
  "release.starting": "starting",
  "release.ramping": "ramping",
  "release.current": "cutover",
  "release.rolled-back": "rollback",
  "release.expiring": "expiring",
  "release.retired": "retired",
  "release.failed": "failed",
};

/** In the order of the audit log. A rollback is told as such, and not as a cutover beside it. */
export function storyOf(marks: TimelineView["marks"], releases: ServiceView["releases"]): StoryEvent[] {
  const inOrder = [...marks].sort((a, b) => a.seq - b.seq);
  const events: StoryEvent[] = [];
  let current: string | undefined;
  for (const [index, { seq, atMs, kind, release, actor, reason }] of inOrder.entries()) {
    const next = inOrder[index + 1];
    if (kind === "release.current" && next?.kind === "release.rolled-back" && next.release === release) continue;
    const told = KINDS[kind];
    const takesNew = told === "cutover" || told === "rollback";
    const handsOver = takesNew || told === "ramping";
    if (handsOver) current ??= currentBefore(atMs, release, inOrder.slice(index), releases);
    const from = handsOver && current !== release ? current : undefined;
    events.push({ seq, atMs, kind: told, release, from, actor, reason });
    if (takesNew) current = release;
  }
  return events;
}

/**
 * Who was current before the first handover that is told. Of a release that was rolled back to since then, only the last
 * time is known at which it became current; and it is the release before that a rollback goes to.
 */
function currentBefore(atMs: number, but: string, later: readonly Mark[], releases: ServiceView["releases"]) {
  const back = later.find(({ kind, release }) => kind === "release.rolled-back" && release !== but);
  if (back) return back.release;
  const before = releases.filter(({ id, currentAtMs }) => id !== but && currentAtMs > 0 && currentAtMs < atMs);
  return before.toSorted((a, b) => b.currentAtMs - a.currentAtMs)[0]?.id;
}

export function eventText({ kind, release, from }: StoryEvent): string {
  switch (kind) {
    case "starting":
      return `${release} starts`;
    case "ramping":
      return from
        ? `${release} begins to take a share of the new sessions from ${from}`
        : `${release} begins to take a share of the new sessions`;
    case "cutover":
      return from ? `${release} takes over from ${from}: new sessions start on it` : `${release} becomes current`;
    case "rollback":
      return from ? `Rolled back from ${from} to ${release}` : `Rolled back to ${release}`;
    case "expiring":
      return `The window of ${release} is over: what is left is asked to move, then cut`;
    case "retired":
      return `${release} retires: its last session has ended`;
    case "failed":
      return `${release} fails`;
  }
}

import {
  isForced,
  labelledLengths,
  sessionLengths,
  type AgeGroup,
  type EndedSession,
  type LiveGroup,
  type SessionAges,
  type SessionLengths,
  type SessionSpans,
} from "@holdover/core";

/** How long the sessions of a service last: of the whole service, and of each label that was seen. */
export interface KnownLengths {
  readonly service: SessionLengths;
  /** Ended sessions that it rests on. */
  readonly ends: number;
  /** Live sessions with the lengths of their label; undefined where lengths are unknown. */
  groupsOf(groups: readonly AgeGroup[]): LiveGroup[] | undefined;
}

/** @param ended newest first */
export function lengthsOf(ended: readonly EndedSession[], ages: SessionAges, nowMs: number): KnownLengths {
  const all = spansOf(ended, ages.groups, nowMs);
  const service = sessionLengths(all, nowMs);
  const labels = new Set([...ended.map(({ label }) => label), ...ages.groups.map(({ label }) => label)]);
  const byLabel = new Map<string | null, SessionLengths>();
  // With one kind alone its lengths are those of the service.
  for (const label of labels.size > 1 ? labels : []) {
    const own = spansOf(
      ended.filter((session) => session.label === label),
      ages.groups.filter((group) => group.label === label),
      nowMs,
    );
    byLabel.set(label, labelledLengths(own, all, nowMs));
  }
  return {
    service,
    ends: ended.length,
    groupsOf: (groups) => {
      if (service.kind === "unknown") return undefined;
      return groups.flatMap(({ label, open }) => {
        const lengths = byLabel.get(label) ?? service;
        return lengths.kind === "estimated" && open.sessions > 0 ? [{ live: open, lengths: lengths.lengths }] : [];
      });
    },
  };
}

/** Ended sessions, and the open ones by their ages, as lengths are estimated from them. */
export function spansOf(ended: readonly EndedSession[], groups: readonly AgeGroup[], nowMs: number): SessionSpans {
  const openedAtMs = ended.map((session) => session.openedAtMs);
  const endedAtMs = ended.map((session) => session.endedAtMs);
  const forced = ended.map(({ reason }) => (isForced(reason) ? 1 : 0));
  for (const { open } of groups) {
    for (const [bin, ageMs] of open.ageMs.entries()) {
      for (let session = open.count[bin] ?? 0; session > 0; session--) {
        openedAtMs.push(nowMs - ageMs);
        endedAtMs.push(Number.NaN);
        forced.push(0);
      }
    }
  }
  return {
    openedAtMs: Float64Array.from(openedAtMs),
    endedAtMs: Float64Array.from(endedAtMs),
    forced: Uint8Array.from(forced),
  };
}

import type { SessionStoryView } from "@holdover/control/api";
import { entryTone, entryWords } from "../words/audit-words.ts";
import { counted, duration } from "../words/figures.ts";

/** One thing that happened to a session. */
export interface Happening {
  readonly atMs: number;
  readonly tone: "bad" | "warn" | "good" | "quiet";
  readonly text: string;
  /** The audit entry that tells of it; null: it is told by the pin, or by the history. */
  readonly seq: number | null;
}

const ENDS: Readonly<Record<string, string>> = {
  hangup: "ended by itself",
  expired: "ended: nobody came back within its linger",
  moved: "ended: it was asked to move",
  cut: "was cut",
  lost: "was lost: nobody came back after its instance died",
};

/** What happened to a session, from its pin, its lives and the audit log; newest first. */
export function happeningsOf({ key, live, ended, entries }: SessionStoryView): Happening[] {
  const all: Happening[] = entries.map((entry) => ({
    atMs: entry.atMs,
    tone: entryTone(entry.kind),
    text: entryWords(entry, key),
    seq: entry.seq,
  }));
  for (const life of ended) {
    all.push({
      atMs: life.openedAtMs,
      tone: "quiet",
      text: `opened on ${life.release}, instance ${life.instance}, fence ${life.fence}`,
      seq: null,
    });
    const closed = life.connectionsClosed > 0 ? `, ${counted(life.connectionsClosed, "connection")} closed` : "";
    all.push({
      atMs: life.endedAtMs,
      tone: life.reason === "cut" || life.reason === "lost" ? "bad" : life.reason === "moved" ? "warn" : "quiet",
      text: `${ENDS[life.reason] ?? life.reason} on ${life.release} after ${duration(life.endedAtMs - life.openedAtMs)}${closed}`,
      seq: null,
    });
  }
  if (live) {
    all.push({ atMs: live.openedAtMs, tone: "good", text: "opened", seq: null });
    if (live.lingeringSinceMs !== null) {
      all.push({
        atMs: live.lingeringSinceMs,
        tone: "quiet",
        text: "its last connection is gone: it lingers",
        seq: null,
      });
    }
    if (live.wedgedSinceMs !== null) {
      all.push({ atMs: live.wedgedSinceMs, tone: "warn", text: "no byte since then: wedged", seq: null });
    }
  }
  return all.toSorted((a, b) => b.atMs - a.atMs || (b.seq ?? 0) - (a.seq ?? 0));
}

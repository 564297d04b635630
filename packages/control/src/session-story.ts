import { HoldoverError, type AuditLog, type DataPlane, type SessionHistory } from "@holdover/core";
import type { SessionStoryView } from "./api/session-views.ts";

/** Lives and entries that a story tells, at the most: the last of them. */
const MOST_LIVES = 100;
const MOST_ENTRIES = 1000;

/**
 * All that is known of a session key: where it lives, the lives that are over, and what was audited of them.
 * @throws HoldoverError SESSION_UNKNOWN, LINK_DOWN
 */
export async function sessionStory(
  service: string,
  key: string,
  { dataPlane, history, audit }: { dataPlane: DataPlane; history: SessionHistory; audit: AuditLog },
): Promise<SessionStoryView> {
  const { sessions } = await dataPlane.sessions({ service, key, limit: 1 });
  const ended = await history.ended({ service, key }, MOST_LIVES);
  const entries = await audit.tail(MOST_ENTRIES, { service, session: key });
  const live = sessions[0] ?? null;
  if (!live && ended.length === 0 && entries.length === 0) throw new HoldoverError("SESSION_UNKNOWN", { service, key });
  return { service, key, live, ended, entries };
}

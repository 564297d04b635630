import { formatDuration, HoldoverError } from "@holdover/core";
import type { Terminal } from "./terminal.ts";

/** How long a control process may be away while something is being followed, in ms; it starts within a second or two. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 250;

/** Whether an error only says that the control process cannot be asked at this moment. */
export function isAway(error: unknown): error is HoldoverError {
  return error instanceof HoldoverError && (error.code === "NOT_RUNNING" || error.code === "CONTROL_BUSY");
}

/**
 * Asks again while the control process is being started anew, for up to 30 s. For questions only: a change that
 * was sent may have been made although its answer never came.
 * @param note told once, when the waiting begins
 * @returns undefined where the signal was given
 * @throws HoldoverError the last one, or any that is not about reaching it
 */
export async function patiently<Answer>(
  terminal: Terminal,
  ask: () => Promise<Answer>,
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const startedAt = performance.now();
  let noted = false;
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (!isAway(error) || performance.now() - startedAt > PATIENCE_MS) throw error;
      if (!noted)
        note(`The control process does not answer (${error.code}); trying for up to ${formatDuration(PATIENCE_MS)}.`);
      noted = true;
      await terminal.pause(RETRY_MS, signal);
    }
  }
  return undefined;
}

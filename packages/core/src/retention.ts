import { formatDuration } from "./duration.ts";
import type { ReleaseRecord } from "./release.ts";
import type { RetentionPolicy } from "./service.ts";

/** What the policy says of a retained release, and why: the words that status and API show. */
export interface RetentionVerdict {
  /** `keep` it; `retire` it once it is empty; `expire` what is left on it now. */
  readonly verdict: "keep" | "retire" | "expire";
  /** Epoch time after which what is left is ended; null: never. */
  readonly deadlineMs: number | null;
  /** Until then it is kept warm even when it is empty. */
  readonly floorUntilMs: number;
  readonly why: string;
}

/**
 * The retention window of a release that is retained since `release.state.sinceMs`.
 * The policy is the one in force for the service now, so that a changed window counts for what is retained already.
 */
export function retentionOf(release: ReleaseRecord, policy: RetentionPolicy, nowMs: number): RetentionVerdict {
  const sinceMs = release.state.sinceMs;
  // A window is a promise of when it ends; being kept warm does not lengthen it.
  const floor = policy.policy === "fixed" ? Math.min(policy.floor, policy.window) : policy.floor;
  const floorUntilMs = sinceMs + floor;
  const warm = nowMs < floorUntilMs;
  const kept = `kept warm for a rollback for ${formatDuration(floor)}`;
  switch (policy.policy) {
    case "until-empty":
      return {
        verdict: warm ? "keep" : "retire",
        deadlineMs: null,
        floorUntilMs,
        why: warm ? `until empty, and ${kept}` : "until empty: no session is ended by its age",
      };
    case "fixed": {
      const deadlineMs = sinceMs + policy.window;
      return {
        verdict: nowMs >= deadlineMs ? "expire" : warm ? "keep" : "retire",
        deadlineMs,
        floorUntilMs,
        why: `fixed window of ${formatDuration(policy.window)}${warm ? `, and ${kept}` : ""}`,
      };
    }
  }
}

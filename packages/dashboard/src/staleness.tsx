import {
  broken,
  countsKnown,
  freshness,
  isLive,
  nowMs,
  otherVersion,
  restartedAtMs,
  serverClock,
  status,
} from "./data/store.ts";
import { clockTime, duration } from "./words/figures.ts";

/** For how long it is told that control was started anew, ms. */
const RESTART_TOLD_MS = 60_000;

/** Says, where it is so, that what the page shows is not what is now; and that control is another one. */
export function Staleness() {
  const fresh = freshness.value;
  const restarted = restartedAtMs.value;
  return (
    <div role="status">
      {fresh.kind === "stale" && (
        <p class="bar bad">
          <strong>Not live.</strong> What you see was so at {clockTime(serverClock.now() - fresh.ageMs)}.{" "}
          {fresh.why === "broken" ? broken.value?.failure.what : "Control has said nothing since."} Sessions go on
          without it.
          {/* Not read out: it is another one every second. */}
          <span aria-hidden="true">
            {" "}
            That was {duration(fresh.ageMs)} ago. {fresh.why === "broken" && againWords()}
          </span>
        </p>
      )}
      {isLive.value && !countsKnown.value && status.value && (
        <p class="bar bad">
          <strong>Counts are not known.</strong> Control has no link to the host. Sessions go on by the last routing
          table.
        </p>
      )}
      {isLive.value && restarted !== null && nowMs.value - restarted < RESTART_TOLD_MS && (
        <p class="bar quiet">Control was started anew at {clockTime(restarted)}. Sessions do not depend on it.</p>
      )}
      {isLive.value && otherVersion.value !== null && (
        <p class="bar quiet">
          Control is version {otherVersion.value} now.{" "}
          <button type="button" class="action" onClick={() => location.reload()}>
            Load its page
          </button>
        </p>
      )}
    </div>
  );
}

function againWords(): string {
  const inMs = (broken.value?.againAt ?? 0) - performance.now();
  return inMs < 1000 ? "Trying again now." : `Trying again in ${duration(inMs)}.`;
}

export function Connecting() {
  const now = broken.value;
  return (
    <p class="empty" role="status">
      {now ? `${now.failure.what} ${now.failure.next}` : "Connecting…"}
    </p>
  );
}

import type { PreviewRequest } from "@holdover/control/api";
import { entries } from "../data/audit-feed.ts";
import { status } from "../data/store.ts";
import { Callout } from "../parts/callout.tsx";
import { clockTime } from "../words/figures.ts";
import { entryWords } from "../words/audit-words.ts";
import { standingOf } from "./standing.ts";

/** Entries that are told of while an action runs. */
const TOLD = 8;

interface ProgressProps {
  readonly service: string;
  readonly request: PreviewRequest;
  /** Epoch ms by the server at which it was asked for. */
  readonly sinceMs: number;
  /** What was answered to it; null: the status tells how it stands. */
  readonly answer: string | null;
}

/** What has become of an action, and what happened since it was asked for. */
export function Progress({ service, request, sinceMs, answer }: ProgressProps) {
  const view = status.value?.services.find(({ name }) => name === service);
  const { tone, text, share } =
    answer === null ? standingOf(request, view) : { tone: "good" as const, text: answer, share: null };
  const since = entries.value.filter((entry) => entry.service === service && entry.atMs >= sinceMs - 50).slice(-TOLD);
  return (
    <>
      <Callout tone={tone === "busy" ? "quiet" : tone}>
        <p role="status">
          <strong>{text}</strong>
        </p>
        {share !== null && tone === "busy" && <progress value={share} max={1} aria-label="How far it is" />}
      </Callout>
      {since.length > 0 && (
        <ol class="story" aria-label="What happened since">
          {since.map((entry) => (
            <li key={entry.seq}>
              <time class="quiet">{clockTime(entry.atMs)}</time> {entryWords(entry)}
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

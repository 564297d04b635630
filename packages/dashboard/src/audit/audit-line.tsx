import type { AuditEntryView } from "@holdover/control/api";
import { fragmentOf } from "../route.ts";
import { nowMs } from "../data/store.ts";
import { entryTone, entryWords } from "../words/audit-words.ts";
import { clockTime, fullTime, moment, number } from "../words/figures.ts";

/** One entry: in a line what happened, and by whom; unfolded, all that was recorded. */
export function AuditLine({ entry, broken }: { readonly entry: AuditEntryView; readonly broken: boolean }) {
  const { seq, atMs, kind, actor, service, session, detail, hash } = entry;
  const time = nowMs.peek() - atMs < 43_200_000 ? clockTime(atMs) : moment(atMs, nowMs.peek());
  return (
    <li class={broken ? "bad" : entryTone(kind)}>
      <details>
        <summary>
          <span class="seq quiet">#{number(seq)}</span>
          <time class="quiet" title={fullTime(atMs)}>
            {time}
          </time>
          <span class="words">
            {service !== undefined && <span class="quiet">{service} </span>}
            <bdi>{entryWords(entry)}</bdi>
            {broken && <strong> · not vouched for</strong>}
          </span>
          <span class="actor quiet">{actor}</span>
        </summary>
        <dl class="facts">
          <dt>Kind</dt>
          <dd>
            <code>{kind}</code>
          </dd>
          <dt>When</dt>
          <dd>{fullTime(atMs)}</dd>
          <dt>Who</dt>
          <dd>{actor}</dd>
          <dt>Why</dt>
          <dd>{entry.reason}</dd>
          {service !== undefined && session !== undefined && (
            <>
              <dt>Session</dt>
              <dd>
                <a href={fragmentOf({ view: "session", service, key: session })}>
                  <bdi>{session}</bdi>
                </a>
              </dd>
            </>
          )}
          {detail && (
            <>
              <dt>Detail</dt>
              <dd>
                <code class="wrap">{JSON.stringify(detail)}</code>
              </dd>
            </>
          )}
          <dt>Hash</dt>
          <dd>
            <code class="wrap">{hash}</code>
          </dd>
        </dl>
      </details>
    </li>
  );
}

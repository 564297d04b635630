import type { AuditEntryView } from "@holdover/control/api";
import { signal, useSignal } from "@preact/signals";
import { chain, entries, type Chain } from "../data/audit-feed.ts";
import { status } from "../data/store.ts";
import { go, route } from "../route.ts";
import { Select } from "../parts/select.tsx";
import { counted, number } from "../words/figures.ts";
import { AuditLine } from "./audit-line.tsx";
import { ChainVerdict } from "./chain-verdict.tsx";

/** Entries that are drawn at first, and that each click adds. */
const SHOWN = 100;

/** A noun of the kinds, as the filter knows it; empty: all. */
const noun = signal("");

/** What happened, newest first, and whether the record of it holds. */
export function Audit() {
  const at = route.value;
  const service = at.view === "audit" ? at.service : null;
  const shown = useSignal(SHOWN);
  const all = entries.value;
  const sought = all.filter(
    (entry) =>
      (service === null || entry.service === service) && (noun.value === "" || entry.kind.startsWith(`${noun.value}.`)),
  );
  const newest = sought.slice(-shown.value).toReversed();
  const nouns = [...new Set(all.map(({ kind }) => kind.split(".")[0] ?? kind))].toSorted();
  const services = status.value?.services.map(({ name }) => name) ?? [];
  return (
    <>
      <section class="panel" aria-labelledby="audit-title">
        <h1 id="audit-title">Audit</h1>
        <ChainVerdict />
      </section>
      <section class="panel" aria-labelledby="feed-title">
        <header>
          <h2 id="feed-title">What happened</h2>
          <p class="quiet">
            {counted(sought.length, "entry", "entries")}
            {(all[0]?.seq ?? 1) > 1 && `, of those after #${number((all[0]?.seq ?? 1) - 1)}`}
          </p>
        </header>
        <div class="filters">
          <Select
            label="Kind"
            value={noun.value}
            options={[["", "All kinds"], ...nouns.map((one) => [one, one] as const)]}
            change={(value) => (noun.value = value)}
          />
          <Select
            label="Service"
            value={service ?? ""}
            options={[["", "All services"], ...services.map((name) => [name, name] as const)]}
            change={(name) => go({ view: "audit", service: name === "" ? null : name })}
          />
        </div>
        {newest.length === 0 ? (
          <p class="empty">No entry of those that were read is like that.</p>
        ) : (
          <ol class="audit-lines" aria-label="Audit entries, newest first">
            {newest.map((entry) => (
              <AuditLine key={entry.seq} entry={entry} broken={isPastBreak(entry, chain.value)} />
            ))}
          </ol>
        )}
        {sought.length > shown.value && (
          <button type="button" class="plain fold" onClick={() => (shown.value += SHOWN)}>
            Show {counted(Math.min(SHOWN, sought.length - shown.value), "older entry", "older entries")}
          </button>
        )}
      </section>
    </>
  );
}

/** From the first one that does not fit on, nothing vouches for what an entry says. */
function isPastBreak({ seq }: AuditEntryView, now: Chain): boolean {
  return now.kind === "broken" && seq >= now.seq;
}

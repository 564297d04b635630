import type { LiveSessionView, ServiceView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../data/connection.ts";
import { usePolled } from "../data/poll.ts";
import { status } from "../data/store.ts";
import { Failure } from "../parts/callout.tsx";
import { Figure } from "../parts/figure.tsx";
import { Rows } from "../parts/rows.tsx";
import { Told } from "../parts/told.tsx";
import { fragmentOf, route } from "../route.ts";
import { number } from "../words/figures.ts";
import { MEANINGS } from "../words/meanings.ts";
import { everyMsOf, LIMITS, order, search, state } from "./query.ts";
import { SessionCells } from "./session-cells.tsx";
import { SessionFilters } from "./session-filters.tsx";

/** For how long somebody has to stop typing before it is searched, ms. */
const STILL_MS = 200;
const ROW_PX = 37;
const NARROW_ROW_PX = 58;
const NARROW = matchMedia("(max-width: 720px)");

/** All live sessions: searched by the router, drawn as far as they are seen. */
export function Sessions() {
  const at = route.value;
  const service = at.view === "sessions" ? at.service : null;
  const release = at.view === "sessions" ? at.release : null;
  const services = status.value?.services ?? [];
  const sought = useSettled(search.value, STILL_MS);
  const step = useSignal(0);
  const limit = LIMITS[step.value] ?? LIMITS[0];
  const query = {
    service: service ?? undefined,
    release: release ?? undefined,
    search: sought === "" ? undefined : sought,
    state: state.value === "" ? undefined : state.value,
    order: order.value,
  };
  const question = JSON.stringify(query);
  useEffect(() => {
    step.value = 0;
  }, [question]);
  const polled = usePolled(question, everyMsOf(limit), limit, (signal) => api.sessions({ ...query, limit }, signal));
  const { sessions = [], matches = null } = polled.value.value ?? {};
  const height = useMedia(NARROW) ? NARROW_ROW_PX : ROW_PX;
  const more = (): void => {
    if (matches !== null && sessions.length < matches && sessions.length >= limit && step.value < LIMITS.length - 1) {
      step.value += 1;
    }
  };
  return (
    <section class="panel sessions" aria-labelledby="sessions-title">
      <header>
        <h1 id="sessions-title">Sessions</h1>
        <p class="live-only" role="status">
          <Figure value={matches} why={MEANINGS.matches} /> {sought || service || state.value ? "match" : "live"}
          {sessions.length > 0 && matches !== null && matches > sessions.length && (
            <span class="quiet"> · the first {number(sessions.length)} here</span>
          )}
        </p>
      </header>
      <SessionFilters services={services} service={service} release={release} />
      {polled.failure.value && <Failure failure={polled.failure.value} />}
      {sessions.length > 0 ? (
        <div class="live-only">
          <Rows
            label="Live sessions"
            class="session-rows"
            items={sessions}
            keyOf={keyOf}
            height={height}
            head={<Head />}
            row={(session) => <SessionCells session={session} releases={releasesOf(services, session)} />}
            onEnd={more}
          />
        </div>
      ) : (
        polled.value.value && <NoMatch services={services} service={service} sought={sought} />
      )}
    </section>
  );
}

const keyOf = ({ service, key }: LiveSessionView): string => `${service} ${key}`;

function releasesOf(services: readonly ServiceView[], { service }: LiveSessionView): ServiceView["releases"] {
  return services.find(({ name }) => name === service)?.releases ?? [];
}

function Head() {
  return (
    <>
      <span role="columnheader">Session</span>
      <span role="columnheader">Release</span>
      <span role="columnheader">State</span>
      <span role="columnheader">
        <Told why={MEANINGS.age}>Age</Told>
      </span>
      <span role="columnheader">
        <Told why={MEANINGS.connections}>Connections</Told>
      </span>
      <span role="columnheader">
        <Told why={MEANINGS.fence}>Fence</Told>
      </span>
      <span role="columnheader">Label</span>
    </>
  );
}

interface NoMatchProps {
  readonly services: readonly ServiceView[];
  readonly service: string | null;
  readonly sought: string;
}

/** A session that is over is not in the list, but its story is told by its whole key. */
function NoMatch({ services, service, sought }: NoMatchProps) {
  const names = service === null ? services.map(({ name }) => name) : [service];
  return (
    <div class="empty">
      <p>{sought === "" ? "No session is live here." : "No live session has this in its key."}</p>
      {sought !== "" &&
        names.slice(0, 5).map((name) => (
          <p key={name}>
            <a href={fragmentOf({ view: "session", service: name, key: sought })}>
              Look for the story of “<bdi>{sought}</bdi>” in {name}
            </a>
          </p>
        ))}
    </div>
  );
}

/** A value once it has not changed for a while. */
function useSettled(value: string, stillMs: number): string {
  const settled = useSignal(value);
  useEffect(() => {
    const timer = setTimeout(() => (settled.value = value), stillMs);
    return () => clearTimeout(timer);
  }, [value]);
  return settled.value;
}

function useMedia(media: MediaQueryList): boolean {
  const matches = useSignal(media.matches);
  useEffect(() => {
    const read = (): void => {
      matches.value = media.matches;
    };
    media.addEventListener("change", read);
    return () => media.removeEventListener("change", read);
  }, [media]);
  return matches.value;
}

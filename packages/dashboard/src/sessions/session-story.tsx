import type { LiveSessionView } from "@holdover/control/api";
import { ActionButton } from "../actions/action-button.tsx";
import { api } from "../data/connection.ts";
import { usePolled } from "../data/poll.ts";
import { status } from "../data/store.ts";
import { Failure } from "../parts/callout.tsx";
import { Age } from "../parts/figure.tsx";
import { laneClass } from "../parts/lane.ts";
import { Told } from "../parts/told.tsx";
import { fragmentOf } from "../route.ts";
import { fullTime, moment, number } from "../words/figures.ts";
import { nowMs } from "../data/store.ts";
import { MEANINGS } from "../words/meanings.ts";
import { happeningsOf } from "./story.ts";

const EVERY_MS = 3000;

/** One session, from its first connection to its last. */
export function SessionStory({ service, of }: { readonly service: string; readonly of: string }) {
  const polled = usePolled(JSON.stringify([service, of]), EVERY_MS, 0, (signal) => api.session(service, of, signal));
  const story = polled.value.value;
  const failure = polled.failure.value;
  const happenings = story ? happeningsOf(story) : [];
  return (
    <section class="panel" aria-labelledby="story-title">
      <p>
        <a href={fragmentOf({ view: "sessions", service, release: null })}>Sessions of {service}</a>
      </p>
      <header>
        <h1 id="story-title" class="wrap">
          <bdi>{of}</bdi>
        </h1>
        {story?.live && <ActionButton ask={{ action: "move", service, key: of }}>Move…</ActionButton>}
      </header>
      {failure && <Failure failure={failure} />}
      {story && !failure && (
        <>
          {story.live ? (
            <Pin live={story.live} />
          ) : (
            <p class="quiet">
              It is over: no pin is held under this key. Whoever connects with it starts a new session.
            </p>
          )}
          <h2>What happened</h2>
          {happenings.length === 0 && <p class="quiet">Nothing is told of it.</p>}
          <ol class="happenings">
            {happenings.map(({ atMs, tone, text, seq }) => (
              <li key={`${atMs} ${seq ?? text}`} class={tone}>
                <time class="quiet" title={fullTime(atMs)}>
                  {moment(atMs, nowMs.value)}
                </time>
                <span>{text}</span>
                <span class="quiet">{seq === null ? "" : `#${number(seq)}`}</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** Where it lives, and how it is. */
function Pin({ live }: { readonly live: LiveSessionView }) {
  const releases = status.value?.services.find(({ name }) => name === live.service)?.releases ?? [];
  return (
    <dl class="facts live-only">
      <dt>Release</dt>
      <dd class={laneClass(releases, live.release)}>
        <i class="swatch" aria-hidden="true" /> <bdi>{live.release}</bdi>
      </dd>
      <dt>Instance</dt>
      <dd>{live.instance ?? "none: its instance died, and nobody has come back yet"}</dd>
      <dt>
        <Told why={MEANINGS.fence}>Fence</Told>
      </dt>
      <dd>{number(live.fence)}</dd>
      <dt>State</dt>
      <dd>
        {live.state}
        {live.lingeringSinceMs !== null && (
          <span class="quiet">
            {" "}
            for <Age sinceMs={live.lingeringSinceMs} />
          </span>
        )}
        {live.wedgedSinceMs !== null && (
          <>
            {" · "}
            <Told why={MEANINGS.wedged} class="told warn">
              wedged
            </Told>{" "}
            for <Age sinceMs={live.wedgedSinceMs} />
          </>
        )}
      </dd>
      <dt>
        <Told why={MEANINGS.age}>Age</Told>
      </dt>
      <dd>
        <Age sinceMs={live.openedAtMs} />, opened {moment(live.openedAtMs, nowMs.value)}
      </dd>
      <dt>
        <Told why={MEANINGS.connections}>Connections</Told>
      </dt>
      <dd>{number(live.connections)}</dd>
      {live.label !== null && (
        <>
          <dt>Label</dt>
          <dd>{live.label}</dd>
        </>
      )}
    </dl>
  );
}

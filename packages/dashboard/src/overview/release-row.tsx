import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { ActionButton } from "../actions/action-button.tsx";
import { countsKnown } from "../data/store.ts";
import { Callout } from "../parts/callout.tsx";
import { Age, Figure } from "../parts/figure.tsx";
import { laneClass } from "../parts/lane.ts";
import { Told } from "../parts/told.tsx";
import { fragmentOf } from "../route.ts";
import { counted, fullTime, number } from "../words/figures.ts";
import { ADMISSION_WORDS, MEANINGS, STATE_MEANINGS } from "../words/meanings.ts";
import { ReleaseDetail } from "./release-detail.tsx";
import { RestartNote } from "./restart-note.tsx";
import { Window } from "./window.tsx";

interface ReleaseRowProps {
  readonly release: ReleaseView;
  readonly service: ServiceView;
}

export function ReleaseRow({ release, service }: ReleaseRowProps) {
  const open = useSignal(false);
  const { id, state, sinceMs, sessions, failure, problem } = release;
  return (
    <li class={`release ${state} ${laneClass(service.releases, id)}`}>
      <div class="release-row">
        <div class="release-name">
          <h3 title={id}>
            <button type="button" class="bare" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
              <span class="chevron" aria-hidden="true" />
              <bdi>{id}</bdi>
            </button>
          </h3>
          <p>
            <Told why={STATE_MEANINGS[state]} class={`told badge ${state}`}>
              {state}
            </Told>{" "}
            <Told why={`${state} since ${fullTime(sinceMs)}. ${MEANINGS.since}`} class="told quiet">
              <Age sinceMs={sinceMs} />
            </Told>
          </p>
        </div>
        <div class="cell">
          <span class="label">takes</span>
          <Told why={MEANINGS.admission}>{ADMISSION_WORDS[release.admission]}</Told>
          {state === "ramping" && (
            <Told why={MEANINGS.share} class="told quiet">
              {number(release.percent)}% of them
            </Told>
          )}
        </div>
        <div class="cell">
          <span class="label">sessions</span>
          <span class="large">
            <Figure value={sessions && sessions.open + sessions.lingering} why={MEANINGS.sessions} />
          </span>
          {sessions && sessions.open + sessions.lingering > 0 && <SessionParts sessions={sessions} />}
        </div>
        <div class="cell">
          <span class="label">instances</span>
          <Instances release={release} />
        </div>
        <Window release={release} />
        <div class="actions">
          <Actions release={release} service={service} />
        </div>
      </div>
      {problem !== null && (
        <Callout tone="bad">
          <p>{problem}</p>
        </Callout>
      )}
      <RestartNote release={release} />
      {failure && (
        <Callout tone="bad">
          <p>
            <strong>{failure.problem}</strong> <code class="quiet">{failure.code}</code>
          </p>
          {failure.log.length > 0 && (
            <details>
              <summary>The last {counted(failure.log.length, "line")} that it wrote</summary>
              <pre class="log" tabIndex={0} aria-label={`The last lines that ${id} wrote`}>
                {failure.log.join("\n")}
              </pre>
            </details>
          )}
        </Callout>
      )}
      {open.value && <ReleaseDetail release={release} service={service} />}
    </li>
  );
}

function SessionParts({ sessions }: { readonly sessions: NonNullable<ReleaseView["sessions"]> }) {
  const { open, lingering, wedged } = sessions;
  return (
    <span class="parts">
      <Told why={MEANINGS.open} class="told quiet">
        {number(open)} open
      </Told>
      {lingering > 0 && (
        <Told why={MEANINGS.lingering} class="told quiet">
          {number(lingering)} lingering
        </Told>
      )}
      {wedged > 0 && (
        <Told why={MEANINGS.wedged} class="told warn">
          {number(wedged)} wedged
        </Told>
      )}
    </span>
  );
}

/** Beyond so many instances the number alone is told. */
const DOTS = 12;

function Instances({ release: { instances, instancesWanted, state } }: { readonly release: ReleaseView }) {
  // Without its link to the host control does not know what runs.
  const known = countsKnown.value;
  const ready = instances.filter((one) => one.state === "ready").length;
  const wants = state === "retired" || state === "failed" ? 0 : instancesWanted;
  return (
    <>
      <Figure value={known ? ready : null} why={MEANINGS.instances} unit={`of ${number(wants)}`} />
      {instances.length <= DOTS && (
        <span class="dots" aria-hidden="true">
          {instances.map((one) => (
            <i key={one.id} class={one.state} title={`${one.id} is ${one.state}`} />
          ))}
        </span>
      )}
    </>
  );
}

function Actions({ release: { id, state }, service: { name, current } }: ReleaseRowProps) {
  const of = { service: name, release: id };
  switch (state) {
    case "ready":
      return (
        <>
          <ActionButton ask={{ action: "retire", ...of }}>Expire…</ActionButton>
          {current !== null && <ActionButton ask={{ action: "ramp", ...of }}>Ramp…</ActionButton>}
          <ActionButton ask={{ action: "promote", ...of }}>Promote…</ActionButton>
        </>
      );
    case "ramping":
      return (
        <>
          <ActionButton ask={{ action: "ramp", ...of }}>Ramp…</ActionButton>
          <ActionButton ask={{ action: "promote", ...of }}>Promote…</ActionButton>
        </>
      );
    case "retained":
      return (
        <>
          <ActionButton ask={{ action: "retire", ...of }}>Expire…</ActionButton>
          <ActionButton ask={{ action: "rollback", ...of }}>Roll back to it…</ActionButton>
        </>
      );
    case "expiring":
      return <ActionButton ask={{ action: "retire", ...of }}>Expire now…</ActionButton>;
    case "retired":
    case "failed":
      return <ActionButton ask={{ action: "deploy", ...of }}>Deploy again…</ActionButton>;
    case "starting":
    case "current":
      return (
        <a class="action" href={fragmentOf({ view: "sessions", service: name, release: id })}>
          Sessions
        </a>
      );
  }
}

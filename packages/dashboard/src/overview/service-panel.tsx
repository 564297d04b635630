import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { ActionButton } from "../actions/action-button.tsx";
import { countsKnown, nowMs } from "../data/store.ts";
import { Figure } from "../parts/figure.tsx";
import { counted, expected } from "../words/figures.ts";
import { MEANINGS } from "../words/meanings.ts";
import { situationOf } from "../words/situation.ts";
import { Lives } from "./lives.tsx";
import { Picture } from "./picture.tsx";
import { inOrder } from "./order.ts";
import { ReleaseRow } from "./release-row.tsx";
import { Told } from "../parts/told.tsx";

/** Older releases that are over are shown this many at a time. */
const OVER_SHOWN = 20;

interface ServicePanelProps {
  readonly service: ServiceView;
  readonly openAtFirst: boolean;
}

/** All of one service: what is going on, its picture, its releases. */
export function ServicePanel({ service, openAtFirst }: ServicePanelProps) {
  const open = useSignal(openAtFirst);
  const { live, over } = inOrder(service.releases);
  const facts = situationOf(service, countsKnown.value, nowMs.value);
  const titleId = `service-${service.name}`;
  return (
    <section class="panel service" aria-labelledby={titleId}>
      <header>
        <div class="service-name">
          <h2 id={titleId}>
            <button type="button" class="bare" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
              <span class="chevron" aria-hidden="true" />
              <bdi>{service.name}</bdi>
            </button>
          </h2>
          <p class="quiet">{whereOf(service)}</p>
        </div>
        <div class="actions">
          {service.current !== null && (
            <>
              <ActionButton ask={{ action: "restart", service: service.name }}>Restart…</ActionButton>
              <ActionButton ask={{ action: "rollback", service: service.name }}>Roll back…</ActionButton>
            </>
          )}
          <ActionButton ask={{ action: "deploy", service: service.name }} tone="primary">
            Deploy…
          </ActionButton>
        </div>
      </header>
      <div class="service-look live-only">
        <ul class="situation">
          {facts.map(({ tone, text }) => (
            <li key={text} class={tone}>
              {text}
            </li>
          ))}
        </ul>
        <Totals service={service} />
      </div>
      {open.value && (
        <>
          <Picture service={service} />
          <Releases service={service} releases={live} label={`Releases of ${service.name}`} />
          {over.length > 0 && <Over releases={over} service={service} />}
          <Lives service={service} />
        </>
      )}
    </section>
  );
}

interface ReleasesProps {
  readonly service: ServiceView;
  readonly releases: readonly ReleaseView[];
  readonly label: string;
}

function Releases({ service, releases, label }: ReleasesProps) {
  return (
    <div class="release-table">
      <p class="release-heads" aria-hidden="true">
        <span>Release</span>
        <span>Takes</span>
        <span>Sessions</span>
        <span>Instances</span>
        <span>Window</span>
      </p>
      <ol class="releases live-only" aria-label={label}>
        {releases.map((release) => (
          <ReleaseRow key={release.id} release={release} service={service} />
        ))}
      </ol>
    </div>
  );
}

function whereOf({ hosts, path }: ServiceView): string {
  const host = hosts.length === 0 ? "every host" : hosts.join(", ");
  return path === "/" ? host : `${host}, under ${path}`;
}

function Totals({ service }: { readonly service: ServiceView }) {
  const { sessions, releases } = service;
  const holding = releases.filter(
    ({ sessions, instances }) => instances.length > 0 || (sessions !== null && sessions.open + sessions.lingering > 0),
  );
  const windows = releases.flatMap(({ retention }) => (retention ? [retention] : []));
  const cut = windows.some(({ wouldCut }) => wouldCut === null)
    ? null
    : windows.reduce((sum, { wouldCut }) => sum + (wouldCut ?? 0), 0);
  return (
    <dl class="totals">
      <div>
        <dt>sessions</dt>
        <dd class="large">
          <Figure value={sessions && sessions.open + sessions.lingering} why={MEANINGS.sessions} />
        </dd>
      </div>
      <div>
        <dt>open</dt>
        <dd>
          <Figure value={sessions && sessions.open} why={MEANINGS.open} />
        </dd>
      </div>
      <div>
        <dt>lingering</dt>
        <dd>
          <Figure value={sessions && sessions.lingering} why={MEANINGS.lingering} />
        </dd>
      </div>
      <div>
        <dt>connections</dt>
        <dd>
          <Figure value={sessions && sessions.connections} why={MEANINGS.connections} />
        </dd>
      </div>
      <div>
        <dt>wedged</dt>
        <dd class={sessions && sessions.wedged > 0 ? "warn" : ""}>
          <Figure value={sessions && sessions.wedged} why={MEANINGS.wedged} />
        </dd>
      </div>
      <div>
        <dt>releases live</dt>
        <dd>
          <Figure value={countsKnown.value ? holding.length : null} why={MEANINGS.liveReleases} />
        </dd>
      </div>
      <div>
        <dt>would be cut</dt>
        <dd class={cut !== null && cut >= 0.05 ? "warn" : ""}>
          <Told why={MEANINGS.wouldCut} class="told figure">
            {cut === null ? "–" : expected(cut)}
          </Told>
        </dd>
      </div>
    </dl>
  );
}

function Over({ releases, service }: { readonly releases: readonly ReleaseView[]; readonly service: ServiceView }) {
  const shown = useSignal(0);
  if (shown.value === 0) {
    return (
      <button type="button" class="plain fold" aria-expanded={false} onClick={() => (shown.value = OVER_SHOWN)}>
        Show {counted(releases.length, "release")} that {releases.length === 1 ? "is" : "are"} over
      </button>
    );
  }
  return (
    <>
      <button type="button" class="plain fold" aria-expanded onClick={() => (shown.value = 0)}>
        Hide what is over
      </button>
      <Releases
        service={service}
        releases={releases.slice(0, shown.value)}
        label={`Releases of ${service.name} that are over`}
      />
      {releases.length > shown.value && (
        <button type="button" class="plain fold" onClick={() => (shown.value += OVER_SHOWN)}>
          Show {counted(Math.min(OVER_SHOWN, releases.length - shown.value), "more", "more")}
        </button>
      )}
    </>
  );
}

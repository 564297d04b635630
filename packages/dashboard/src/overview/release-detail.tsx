import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { asFailure, type ApiFailure } from "../data/api-call.ts";
import { api } from "../data/connection.ts";
import { Failure } from "../parts/callout.tsx";
import { Age, When } from "../parts/figure.tsx";
import { Told } from "../parts/told.tsx";
import { fragmentOf } from "../route.ts";
import { counted, duration, number } from "../words/figures.ts";
import { MEANINGS, RULE_WORDS } from "../words/meanings.ts";

interface ReleaseDetailProps {
  readonly release: ReleaseView;
  readonly service: ServiceView;
}

export function ReleaseDetail({ release, service }: ReleaseDetailProps) {
  const { retention, instances, formats } = release;
  return (
    <div class="detail">
      <dl class="facts">
        {retention && (
          <>
            <dt>Window</dt>
            <dd>
              Set by {RULE_WORDS[retention.rule] ?? retention.rule} (policy <code>{retention.policy}</code>):{" "}
              {retention.why}.{" "}
              {retention.fromSessions > 0 && `It rests on ${counted(retention.fromSessions, "ended session")}.`}
            </dd>
          </>
        )}
        <dt>
          <Told why={MEANINGS.linger}>Linger</Told>
        </dt>
        <dd>{duration(release.lingerMs)}</dd>
        <dt>Deployed</dt>
        <dd>
          <When atMs={release.createdAtMs} /> from <code class="wrap">{release.dir}</code>
        </dd>
        {release.currentAtMs > 0 && (
          <>
            <dt>Last current</dt>
            <dd>
              <When atMs={release.currentAtMs} why="When it last became the current release." />
            </dd>
          </>
        )}
        {release.digest !== null && (
          <>
            <dt>
              <Told why="SHA-256 over names, modes and contents of the frozen copy that runs.">Digest</Told>
            </dt>
            <dd>
              <code class="wrap">{release.digest}</code>
            </dd>
          </>
        )}
      </dl>
      {instances.length > 0 && <InstanceTable instances={instances} />}
      {formats && <Formats formats={formats} />}
      <p class="row">
        <a class="action" href={fragmentOf({ view: "sessions", service: service.name, release: release.id })}>
          Its sessions
        </a>
        <Log release={release} />
      </p>
    </div>
  );
}

function InstanceTable({ instances }: { readonly instances: ReleaseView["instances"] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Instances">
      <table>
        <thead>
          <tr>
            <th scope="col">Instance</th>
            <th scope="col">State</th>
            <th scope="col" class="right">
              Sessions
            </th>
            <th scope="col" class="right">
              Connections
            </th>
            <th scope="col">Address</th>
            <th scope="col" class="right">
              Process
            </th>
            <th scope="col">Up</th>
          </tr>
        </thead>
        <tbody>
          {instances.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                <bdi>{one.id}</bdi>
              </th>
              <td>
                <span class={`dots`} aria-hidden="true">
                  <i class={one.state} />
                </span>{" "}
                {one.state}
                {one.problem !== null && <span class="bad"> {one.problem}</span>}
              </td>
              <td class="right">{one.sessions === null ? "–" : number(one.sessions.open + one.sessions.lingering)}</td>
              <td class="right">{one.sessions === null ? "–" : number(one.sessions.connections)}</td>
              <td>
                <code>{one.address}</code>
              </td>
              <td class="right">{one.pid ?? "–"}</td>
              <td>
                <Age sinceMs={one.startedAtMs} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Formats({ formats }: { readonly formats: NonNullable<ReleaseView["formats"]> }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="What the format gate found">
      <table>
        <caption>
          <Told why="Before it gets traffic, each release reads in a process of its own what live sessions keep and what the other one makes of it.">
            Format gate
          </Told>
          : {counted(formats.samples, "sample")} tried
          {formats.untried.length > 0 && `; nobody of ${formats.untried.join(", ")} could be asked`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Format</th>
            <th scope="col">Read by the new release</th>
            <th scope="col">Read back after a rollback</th>
          </tr>
        </thead>
        <tbody>
          {formats.formats.map(({ format, forward, back }) => (
            <tr key={format}>
              <th scope="row">{format}</th>
              <td>{directionWords(forward)}</td>
              <td>{back.map((one) => `${one.release}: ${directionWords(one)}`).join("; ") || "nobody to read it"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type Direction = NonNullable<ReleaseView["formats"]>["formats"][number]["forward"];

function directionWords(direction: Direction): string {
  const { tried, failed, failures } = direction;
  const [first] = failures;
  const words =
    failed === 0 ? `all ${counted(tried, "sample")}` : `${number(failed)} of ${counted(tried, "sample")} failed`;
  return first ? `${words}: version ${first.version}: ${first.reason}` : words;
}

/** Lines of a log that are asked for. */
const LOG_LINES = 200;

function Log({ release: { service, id } }: { readonly release: ReleaseView }) {
  const lines = useSignal<readonly string[] | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  async function read(): Promise<void> {
    try {
      failure.value = null;
      ({ lines: lines.value } = await api.log(service, id, undefined, LOG_LINES));
    } catch (error) {
      failure.value = asFailure(error);
    }
  }
  return (
    <>
      <button type="button" class="action" onClick={() => void read()}>
        {lines.value ? "Read its log again" : "Read its log"}
      </button>
      {failure.value && <Failure failure={failure.value} />}
      {lines.value && (
        <pre class="log" tabIndex={0} aria-label={`The last lines that ${id} wrote`}>
          {lines.value.length === 0 ? "It has written nothing." : lines.value.join("\n")}
        </pre>
      )}
    </>
  );
}

import { formatDuration } from "@holdover/core";
import type { InstanceView, ReleaseView, ServiceView, StatusView } from "../api-client.ts";
import { age, estimates, moment } from "./moment.ts";
import { styleOfState, type Paint } from "./paint.ts";
import { restartStep } from "./restart-step.ts";
import { intervalText, keptText, retirementText, windowFacts } from "./retention-text.ts";
import { countText, liveSessions } from "./session-count.ts";
import { cut, printable, table, type Cell } from "./table.ts";

type AuditSinkView = NonNullable<StatusView["auditSinks"]>[number];

/** Releases that are over and shown without --all. */
const OVER_SHOWN = 2;

export interface TreeOptions {
  readonly paint: Paint;
  /** Show every release that is retired or has failed. */
  readonly all: boolean;
  /** Columns of the terminal; undefined: no limit. */
  readonly width: number | undefined;
}

/** Service → releases, newest first → instances. */
export function statusTree(status: StatusView, options: TreeOptions): string[] {
  const { router } = status;
  const facts = [
    `Holdover ${status.version}`,
    router.address ?? "router address ?",
    `table ${router.tableInForce ?? "?"} in force${router.tableInForce === router.tableIssued ? "" : ` of ${router.tableIssued}`}`,
    `control up ${age(status.nowMs - status.startedAtMs)}`,
  ];
  const notes = [
    ...(router.linked ? [] : [options.paint("red", "The host is not linked to control: counts are not known.")]),
    ...(status.auditSinks ?? []).flatMap((sink) => sinkNote(sink, status.nowMs, options)),
    ...(router.closing ? [options.paint("yellow", "Shutting down: no new session is taken.")] : []),
  ];
  const services = status.services.flatMap((service) => ["", ...serviceTree(service, status.nowMs, options)]);
  const empty = status.services.length === 0 ? ["", "No service yet: `holdover deploy` brings the first."] : [];
  return [...fitting([facts.join("  ")], options.width), ...notes, ...services, ...empty];
}

/** A sink that takes what it is given is not told of. */
function sinkNote(sink: AuditSinkView, nowMs: number, options: TreeOptions): string[] {
  if (!sink.failure) return [];
  const { problem, sinceMs } = sink.failure;
  const text = `Audit ${sink.name} fails for ${age(nowMs - sinceMs)}, ${sink.backlog ?? "?"} entries behind: ${problem}`;
  return [options.paint("yellow", cut(printable(text), options.width ?? Infinity))];
}

function serviceTree(service: ServiceView, nowMs: number, options: TreeOptions): string[] {
  const { paint } = options;
  const hosts = service.hosts.length > 0 ? service.hosts.join(", ") : "any host";
  const title = cut(
    `${service.name}  ${hosts} ${service.path}  ${liveSessions(service.sessions)}`,
    options.width ?? Infinity,
  );
  const releases = shownReleases(service, options.all);
  const left = service.releases.length - releases.length;
  const rows: (Cell[] | string)[] = releases.flatMap((release, index) => {
    const last = index === releases.length - 1 && left === 0;
    return releaseRows(release, last, nowMs);
  });
  if (left > 0) rows.push(`└─ ${left} more retired or failed: --all`);
  return [title.replace(service.name, paint("bold", service.name)), ...aligned(rows, options)];
}

/** Newest first; of those that are over, the last two. */
function shownReleases(service: ServiceView, all: boolean): ReleaseView[] {
  const newest = service.releases.toReversed();
  const over = new Set(newest.filter(({ state }) => state === "retired" || state === "failed").slice(OVER_SHOWN));
  return all ? newest : newest.filter((release) => !over.has(release));
}

function releaseRows(release: ReleaseView, last: boolean, nowMs: number): (Cell[] | string)[] {
  const bar = last ? "   " : "│  ";
  const details = releaseDetails(release, nowMs);
  const isOver = release.state === "retired" || release.state === "failed";
  return [
    [
      `${last ? "└─" : "├─"} ${release.id}`,
      {
        text: release.state === "ramping" ? `ramping ${release.percent}%` : release.state,
        style: styleOfState(release.state),
      },
      isOver ? "" : `takes ${release.admission}`,
      isOver ? `${age(nowMs - release.sinceMs)} ago` : countText(release.sessions),
    ],
    ...details.map((line) => `${bar}${release.instances.length > 0 ? "│  " : "   "}${line}`),
    ...release.instances.map((instance, index) =>
      instanceRow(instance, `${bar}${index === release.instances.length - 1 ? "└─" : "├─"} `),
    ),
  ];
}

function releaseDetails(release: ReleaseView, nowMs: number): string[] {
  if (release.failure) return [`${release.failure.code}: ${release.failure.problem}`];
  if (release.state === "starting") {
    const healthy = release.instances.filter(({ state }) => state === "ready").length;
    return [`${healthy}/${release.instancesWanted} instances healthy, then ${release.then}`];
  }
  return [
    ...(release.problem === null ? [] : [`PROBLEM: ${release.problem}`]),
    ...preparationDetails(release, nowMs),
    ...restartDetails(release, nowMs),
    ...retentionDetails(release, nowMs),
  ];
}

function preparationDetails({ state, lingerMs, preparation }: ReleaseView, nowMs: number): string[] {
  if (!preparation || state === "retired") return [];
  const linger = `linger ${formatDuration(lingerMs)}`;
  const until = moment(preparation.untilMs, nowMs);
  if (preparation.untilMs <= nowMs) return [`${linger}, prepared since ${until}`];
  const left = formatDuration(preparation.untilMs - nowMs);
  return [`${linger}, falling to ${formatDuration(preparation.lingerMs)} by ${until} (in ${left})`];
}

function restartDetails({ restart }: ReleaseView, nowMs: number): string[] {
  if (!restart) return [];
  const { length } = restart.waiting;
  const then = length === 0 ? "the last batch" : `${length} more ${length === 1 ? "instance" : "instances"} after that`;
  return [`restart: ${restartStep(restart, nowMs)}; ${then}`];
}

/** What ends it, in a line; what else there is to know in the next. */
function retentionDetails({ retention, sessions }: ReleaseView, nowMs: number): string[] {
  if (!retention) return [];
  const { rule, floorUntilMs, retires, fromSessions, why } = retention;
  const kept = keptText(retention, nowMs);
  const facts = windowFacts(retention, nowMs);
  const warm = floorUntilMs > nowMs ? [`warm for a rollback until ${moment(floorUntilMs, nowMs)}`] : [];
  if (rule === "forecast" && retires) {
    // The deadline is the forecast: its reason says the same again.
    const [low, high] = estimates([retires.lowMs, retires.highMs], nowMs);
    const told = `${kept}, ${intervalText(low, high, retires.known)}`;
    return [told, [`from ${fromSessions} ended sessions`, ...facts].join("; "), ...warm];
  }
  const empty = sessions !== null && sessions.open + sessions.lingering === 0;
  const forecast = retires && !empty ? [`retires ${retirementText(retires, nowMs)}`] : [];
  const more = [...forecast, ...facts].join("; ");
  return [`${kept}: ${why}`, ...(more === "" ? [] : [more]), ...warm];
}

function instanceRow(instance: InstanceView, prefix: string): Cell[] {
  return [
    `${prefix}${instance.id}`,
    { text: instance.state, style: styleOfState(instance.state) },
    "",
    instance.problem ?? countText(instance.sessions),
  ];
}

/** Rows in columns, with lines of prose between them that belong to no column. */
function aligned(rows: readonly (Cell[] | string)[], { paint, width }: TreeOptions): string[] {
  const columns = [{ title: "", shrinks: true }, { title: "" }, { title: "" }, { title: "", shrinks: true }];
  const lines = table(
    columns,
    rows.filter((row) => typeof row !== "string"),
    paint,
    width,
  );
  return rows.map((row) => (typeof row === "string" ? cut(printable(row), width ?? Infinity) : (lines.shift() ?? "")));
}

function fitting(lines: readonly string[], width: number | undefined): string[] {
  return lines.map((line) => cut(line, width ?? Infinity));
}

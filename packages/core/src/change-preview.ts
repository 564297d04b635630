import type { Change } from "./changes.ts";
import { formatDuration } from "./duration.ts";
import { heldSessions } from "./held-sessions.ts";
import { plan, outlookKey, type Observed } from "./plan.ts";
import { currentRelease, cutover, ready, releaseOf, transition, withRelease, type ServiceRecord } from "./release.ts";
import { retainedWindow } from "./retention.ts";
import { allowedCuts } from "./windows.ts";

/** What a change does to sessions, before it is made. */
export interface ChangePreview {
  /** Live sessions that it asks to move, at the most; null: not known. */
  readonly moves: number | null;
  /** Live sessions that it may end by force, at the most; null: not known. The end of a window that is still to come is none of its doing. */
  readonly cuts: number | null;
  /** What it does, one sentence each, the most important first. */
  readonly effects: readonly string[];
}

/** All that is observed beside the service itself. */
export type Around = Omit<Observed, "services">;

/** A release whose sessions a change ends. */
interface Ending {
  readonly release: string;
  readonly held: number | null;
  /** How long they are asked to move before they are cut, ms. */
  readonly graceMs: number;
  /** Why it expires where the change does not name it. */
  readonly why: string | null;
}

/**
 * What a change of releases would do: any change but a restart, which has a plan of its own.
 *
 * A change may have the planner take further steps at once: one release more is retained, or another policy is in force,
 * and an old release expires. That is the doing of the change as much as what it names, so the planner is asked for it.
 */
export function previewChange(service: ServiceRecord, { next }: Change, around: Around): ChangePreview {
  const ends = endings(service, next, around);
  const [full, empty] = [ends.filter(({ held }) => held !== 0), ends.filter(({ held }) => held === 0)];
  const effects = [
    ...full.flatMap((ending) => endingTexts(ending, service, next)),
    ...admissionTexts(service, next),
    ...stayingTexts(service, next, around),
    ...empty.flatMap((ending) => endingTexts(ending, service, next)),
    ...otherTexts(service, next),
  ];
  return {
    moves: sum(ends.filter(({ graceMs }) => graceMs > 0)),
    cuts: sum(ends),
    effects: effects.length > 0 ? effects : ["Nothing changes."],
  };
}

/** What a deploy would do: nothing to any session before its release is ready, and then what a cutover does. */
export function previewDeploy(change: Change, around: Around): ChangePreview {
  const { next, release, reason } = change;
  const deployed = releaseOf(next, release);
  const before = withRelease(next, transition(deployed, ready(around.nowMs)));
  const live = heldSessions(next.name, currentRelease(next)?.id, around);
  const after = cutover(before, release, around.nowMs, live);
  const then = previewChange(before, { next: after, release, reason }, around);
  const { instances, gate } = deployed.definition;
  const starts = instances === 1 ? `An instance of ${release} starts` : `${instances} instances of ${release} start`;
  const from = deployed.snapshot === null ? `a copy of ${deployed.dir}` : "the copy that was kept of it";
  const asked = gate ? ", and its gate is asked" : "";
  return { ...then, effects: [`${starts} from ${from}${asked}. Once it is ready:`, ...then.effects] };
}

function sum(ends: readonly Ending[]): number | null {
  return ends.reduce<number | null>((total, { held }) => (total === null || held === null ? null : total + held), 0);
}

/** The releases that expire, or expire sooner, by a change and by what the planner does at once because of it. */
function endings(before: ServiceRecord, after: ServiceRecord, around: Around): Ending[] {
  const otherwise = settled(before, around).service;
  const { service, why } = settled(after, around);
  return service.releases.flatMap(({ id, state }): Ending[] => {
    if (state.name !== "expiring") return [];
    const without = otherwise.releases.find((one) => one.id === id)?.state;
    if (without?.name === "expiring" && without.graceUntilMs <= state.graceUntilMs) return [];
    const held = heldSessions(before.name, id, around);
    return [{ release: id, held, graceMs: Math.max(0, state.graceUntilMs - around.nowMs), why: why.get(id) ?? null }];
  });
}

/** A service once the planner has let expire what is to expire now, with its reasons. */
function settled(
  service: ServiceRecord,
  around: Around,
): { readonly service: ServiceRecord; readonly why: ReadonlyMap<string, string> } {
  const why = new Map<string, string>();
  let now = service;
  // Each pass lets one release expire at the least, so there are no more passes than releases.
  for (let pass = 0; pass < service.releases.length; pass += 1) {
    for (const action of plan({ ...around, services: [now] })) {
      if (action.do !== "transition" || action.to.name !== "expiring") continue;
      why.set(action.release, action.why);
      now = withRelease(now, transition(releaseOf(now, action.release), action.to));
    }
    if (why.size <= pass) break;
  }
  return { service: now, why };
}

function endingTexts({ release, held, graceMs, why }: Ending, before: ServiceRecord, after: ServiceRecord): string[] {
  const { state, currentAtMs } = releaseOf(before, release);
  const wasWay = state.name === "current" || (state.name === "retained" && currentAtMs > 0);
  return [
    held === 0
      ? `No session is on ${release}: it is retired.`
      : endingText(release, held, graceMs, currentRelease(after)?.id),
    ...(why === null ? [] : [`${release} expires by that: ${why}.`]),
    ...(wasWay ? [`There is no rollback to ${release} any more.`] : []),
  ];
}

function endingText(release: string, held: number | null, graceMs: number, to: string | undefined): string {
  const who =
    held === null ? `Whatever sessions are on ${release}, which nobody can count now,` : sessionsOf(release, held);
  const are = held === 1 ? "is" : "are";
  if (graceMs === 0) return `${who} ${are} cut at once, as fast as the disconnect cap allows.`;
  const place = to === undefined ? "" : ` to ${to}`;
  return `${who} ${are} asked to move${place} within ${formatDuration(graceMs)}; those left then are cut.`;
}

function admissionTexts(before: ServiceRecord, after: ServiceRecord): string[] {
  const current = currentRelease(after);
  const ramps = after.releases.flatMap(({ id, state }) => {
    const was = before.releases.find((one) => one.id === id)?.state;
    if (state.name !== "ramping" || (was?.name === "ramping" && was.percent === state.percent)) return [];
    const others = current ? `, the others on ${current.id}` : "";
    return [`${state.percent}% of the new sessions start on ${id}${others}.`, "No live session changes its place."];
  });
  return current && current.id !== currentRelease(before)?.id
    ? [`New sessions start on ${current.id}.`, ...ramps]
    : ramps;
}

/** What becomes of the sessions of the release that stops taking new ones. */
function stayingTexts(before: ServiceRecord, after: ServiceRecord, around: Around): string[] {
  const left = currentRelease(before);
  const release = left && releaseOf(after, left.id);
  if (release?.state.name !== "retained") return [];
  const held = heldSessions(before.name, release.id, around);
  if (held === 0) return [`No session is on ${release.id}; it is kept for a rollback as long as its window says.`];
  const who =
    held === null
      ? `Whatever sessions are on ${release.id}, which nobody can count now,`
      : sessionsOf(release.id, held);
  const policy = after.definition.retention;
  const outlook = around.outlooks.get(outlookKey(after.name, release.id));
  const window = retainedWindow(release, policy, held ?? undefined, outlook, around.nowMs);
  // It expires with the next step of the planner, which is told as that.
  if (window.verdict === "expire") return [];
  const few = policy.policy === "budget" ? allowedCuts(policy.disruptionBudget, held) : 0;
  const ends = [
    ...(few > 0 ? [`once ${few === 1 ? "one is" : `${few} are`} left`] : []),
    ...(window.hardStopMs === null ? [] : [`in ${formatDuration(window.hardStopMs - around.nowMs)} at the latest`]),
  ];
  const goOn = `${who} ${held === 1 ? "goes" : "go"} on there, undisturbed`;
  if (ends.length === 0) return [`${goOn}, until the last has ended.`];
  return [
    `${goOn}; ${ends.join(", or ")}, what is left is asked to move, and cut ${formatDuration(policy.grace)} after that.`,
  ];
}

function otherTexts(before: ServiceRecord, after: ServiceRecord): string[] {
  const texts: string[] = [];
  for (const { id, state, restart } of after.releases) {
    const was = before.releases.find((one) => one.id === id);
    if (state.name === "retired" && was?.state.name !== "retired")
      texts.push(`${id} is given up: its instances are stopped.`);
    if (restart === null && was?.restart) texts.push(`The restart of ${id} that is under way is called off.`);
  }
  if (JSON.stringify(before.definition) !== JSON.stringify(after.definition)) {
    texts.push(`The settings that ${currentRelease(after)?.id ?? "it"} was deployed with come into force.`);
  }
  return texts;
}

function sessionsOf(release: string, count: number): string {
  return `${count} ${count === 1 ? "session" : "sessions"} on ${release}`;
}

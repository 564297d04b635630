import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { counted, duration, expected, moment, named, number } from "./figures.ts";

/** One thing that is going on, in a sentence. */
export interface Fact {
  readonly tone: "calm" | "busy" | "warn" | "bad";
  readonly text: string;
}

/** From this many on, retained releases are told of together. */
const RETAINED_TOLD = 3;

/** What is going on in a service, for somebody who sees it for the first time: the most important first. */
export function situationOf(service: ServiceView, linked: boolean, nowMs: number): Fact[] {
  const { releases } = service;
  const facts: Fact[] = [];
  if (!linked) {
    facts.push({
      tone: "bad",
      text: "Control has no link to the host. Sessions go on by the last routing table; nobody can count them now.",
    });
  }
  facts.push(...admitting(service));
  for (const release of releases) {
    if (release.state === "starting") facts.push(startingOf(release, linked));
    if (release.state === "ready") {
      facts.push({
        tone: "busy",
        text: `${named(release.id)} is ready and has no traffic: promote it, or give it a share.`,
      });
    }
    if (release.problem !== null) facts.push({ tone: "bad", text: `${named(release.id)}: ${release.problem}.` });
    if (release.restart) {
      const left = release.restart.waiting.length + release.restart.leaving.length;
      facts.push({
        tone: "busy",
        text: `${named(release.id)} is being restarted: ${counted(left, "instance")} still to be replaced.`,
      });
    }
  }
  const retained = releases.filter(({ state }) => state === "retained");
  if (retained.length > RETAINED_TOLD) facts.push(togetherOf(retained, nowMs));
  else facts.push(...retained.toReversed().map((release) => retainedOf(release, nowMs)));
  facts.push(...releases.filter(({ state }) => state === "expiring").map((release) => expiringOf(release, nowMs)));
  const newest = releases.at(-1);
  if (newest?.failure) facts.push({ tone: "bad", text: `${named(newest.id)} failed: ${newest.failure.problem}` });
  return facts;
}

function admitting({ current, releases }: ServiceView): Fact[] {
  const ramping = releases.filter(({ state }) => state === "ramping");
  if (current === null) {
    if (ramping.length > 0 || releases.some(({ state }) => state === "starting")) return [];
    return [
      releases.length === 0
        ? { tone: "busy", text: "Nothing has been deployed yet." }
        : { tone: "bad", text: "No release is current: new sessions are refused." },
    ];
  }
  if (ramping.length === 0) return [{ tone: "calm", text: `New sessions start on ${named(current)}.` }];
  return ramping.map(({ id, percent }) => ({
    tone: "busy" as const,
    text: `${named(id)} takes ${number(percent)}% of the new sessions; the rest start on ${named(current)}.`,
  }));
}

function startingOf({ id, instances, instancesWanted, then }: ReleaseView, linked: boolean): Fact {
  const ready = instances.filter(({ state }) => state === "ready").length;
  const after = {
    promote: "then new sessions start on it",
    ramp: "then it takes a share of the new sessions",
    wait: "then it waits for your word",
  }[then];
  const healthy = linked
    ? `${ready} of ${counted(instancesWanted, "instance")} healthy`
    : "how far it is, is not known";
  return { tone: "busy", text: `${named(id)} is starting: ${healthy}, ${after}.` };
}

function retainedOf({ id, sessions, retention }: ReleaseView, nowMs: number): Fact {
  if (sessions === null)
    return { tone: "warn", text: `${named(id)} is retained; how many sessions it has is not known.` };
  const live = sessions.open + sessions.lingering;
  if (live === 0) {
    const until = retention?.floorUntilMs ?? 0;
    return {
      tone: "calm",
      text:
        until > nowMs
          ? `${named(id)} is empty and kept warm for a rollback until ${moment(until, nowMs)}.`
          : `${named(id)} is empty and about to retire.`,
    };
  }
  const keeps = `${named(id)} lets ${counted(live, "session")} finish`;
  const end = retention?.retires
    ? `, probably until ${moment(retention.retires.medianMs, nowMs)} (${moment(retention.retires.lowMs, nowMs)} to ${moment(retention.retires.highMs, nowMs)})`
    : "";
  return { tone: cuts(retention) > 0 ? "warn" : "calm", text: `${keeps}${end}; ${cutWords(retention)}.` };
}

function cuts(retention: ReleaseView["retention"]): number {
  return retention?.wouldCut ?? 0;
}

function cutWords(retention: ReleaseView["retention"]): string {
  const wouldCut = retention?.wouldCut ?? null;
  if (wouldCut === null) return "how many its window would cut is not known";
  if (wouldCut < 0.05) return "nobody is expected to be cut";
  return `its window is expected to cut ${expected(wouldCut)}`;
}

function togetherOf(retained: readonly ReleaseView[], nowMs: number): Fact {
  const known = retained.every(({ sessions }) => sessions !== null);
  const live = retained.reduce((sum, { sessions }) => sum + (sessions ? sessions.open + sessions.lingering : 0), 0);
  const last = Math.max(...retained.map(({ retention }) => retention?.retires?.medianMs ?? 0));
  const wouldCut = retained.reduce((sum, { retention }) => sum + cuts(retention), 0);
  const finish = known ? `let ${counted(live, "session")} finish` : "let their sessions finish";
  const until = last > nowMs ? `, the last probably until ${moment(last, nowMs)}` : "";
  const cut = wouldCut < 0.05 ? "nobody is expected to be cut" : `${expected(wouldCut)} are expected to be cut`;
  return {
    tone: wouldCut < 0.05 ? "calm" : "warn",
    text: `${number(retained.length)} older releases ${finish}${until}; ${cut}.`,
  };
}

function expiringOf({ id, sessions, retention }: ReleaseView, nowMs: number): Fact {
  const live =
    sessions === null ? "an unknown number of sessions" : counted(sessions.open + sessions.lingering, "session");
  const deadline = retention?.deadlineMs ?? null;
  if (deadline !== null && deadline <= nowMs)
    return { tone: "warn", text: `${named(id)} is expiring: ${live} left, being cut.` };
  const then = deadline === null ? "" : ` What is left in ${duration(deadline - nowMs)} is cut.`;
  return { tone: "warn", text: `${named(id)} is expiring: ${live} left, asked to move.${then}` };
}

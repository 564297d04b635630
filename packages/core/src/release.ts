import { HoldoverError } from "./errors.ts";
import type { Preparation } from "./affinity-ramp.ts";
import type { FormatTrialReport } from "./format-gate.ts";
import type { ServiceDefinition } from "./service.ts";

/** Why a release failed: a code of the error table, its sentence, and the last lines of the log where there is one. */
export interface ReleaseFailure {
  readonly code: string;
  readonly problem: string;
  readonly log: readonly string[];
}

/** The life of a release (DESIGN, States). `sinceMs` is the epoch time at which it entered the state. */
export type ReleaseState =
  | { readonly name: "starting"; readonly sinceMs: number }
  | { readonly name: "ready"; readonly sinceMs: number }
  | { readonly name: "ramping"; readonly sinceMs: number; readonly percent: number }
  | { readonly name: "current"; readonly sinceMs: number }
  | {
      readonly name: "retained";
      readonly sinceMs: number;
      /** Sessions live on it at the cutover; null: nobody could count them. */
      readonly live: number | null;
      /** The deadline that was last said; null: none. */
      readonly deadlineMs: number | null;
    }
  | { readonly name: "expiring"; readonly sinceMs: number; readonly graceUntilMs: number }
  | { readonly name: "retired"; readonly sinceMs: number }
  | { readonly name: "failed"; readonly sinceMs: number; readonly failure: ReleaseFailure };

export type ReleaseStateName = ReleaseState["name"];

export const starting = (sinceMs: number): ReleaseState => ({ name: "starting", sinceMs });
export const ready = (sinceMs: number): ReleaseState => ({ name: "ready", sinceMs });
/** @param percent of the new sessions, above 0 and up to 100 */
export const ramping = (sinceMs: number, percent: number): ReleaseState => ({ name: "ramping", sinceMs, percent });
export const current = (sinceMs: number): ReleaseState => ({ name: "current", sinceMs });
/** @param live sessions on it at the cutover; null where nobody could count them */
export const retained = (sinceMs: number, live: number | null): ReleaseState => ({
  name: "retained",
  sinceMs,
  live,
  deadlineMs: null,
});
/** @param graceUntilMs until then sessions are asked to move; after it they are cut */
export const expiring = (sinceMs: number, graceUntilMs: number): ReleaseState => ({
  name: "expiring",
  sinceMs,
  graceUntilMs,
});
export const retired = (sinceMs: number): ReleaseState => ({ name: "retired", sinceMs });
export const failed = (sinceMs: number, failure: ReleaseFailure): ReleaseState => ({
  name: "failed",
  sinceMs,
  failure,
});

const ALLOWED: Record<ReleaseStateName, readonly ReleaseStateName[]> = {
  starting: ["ready", "failed", "retired"],
  ready: ["ramping", "current", "retired"],
  ramping: ["ramping", "current", "retained"],
  current: ["retained"],
  retained: ["ramping", "current", "expiring", "retired"],
  expiring: ["retired"],
  // A build that once ran can be deployed again from its snapshot; one that failed, after it was mended.
  retired: ["starting"],
  failed: ["starting"],
};

export function mayBecome(from: ReleaseStateName, to: ReleaseStateName): boolean {
  return ALLOWED[from].includes(to);
}

/** What happens to a release once it is ready. */
export type DeployIntent =
  | { readonly then: "promote" }
  | { readonly then: "ramp"; readonly percent: number }
  | { readonly then: "wait" };

/** What is stored of a release. The definition is the one it was deployed with and never changes. */
export interface ReleaseRecord {
  readonly id: string;
  readonly state: ReleaseState;
  readonly definition: ServiceDefinition;
  /** Absolute path of the directory that was deployed. */
  readonly dir: string;
  /** Absolute path of the immutable copy; null until it is taken. */
  readonly snapshot: string | null;
  /** SHA-256 over names, modes and contents of the snapshot; null until it is taken. */
  readonly digest: string | null;
  readonly intent: DeployIntent;
  readonly gatePassed: boolean;
  /** What the format gate found; null: it has not run in this deploy. */
  readonly formats: FormatTrialReport | null;
  /** Asked for with the deploy: it goes on although a rollback would lose state. */
  readonly allowStateLoss: boolean;
  /** Who deployed it, for the audit of what follows by itself. */
  readonly deployedBy: string;
  readonly createdAtMs: number;
  /** When it last became current, later than any other release did before; 0 for never. */
  readonly currentAtMs: number;
  /** The number that the next instance gets in its id. */
  readonly nextOrdinal: number;
  /** How its linger shrinks towards a cutover, since `holdover prepare`; null: it does not. */
  readonly preparation: Preparation | null;
  /** The rolling restart that is under way; null: none. */
  readonly restart: Restart | null;
}

/** A rolling restart of a release: its instances are replaced, a batch after the other. */
export interface Restart {
  readonly sinceMs: number;
  /** Instances of a batch. */
  readonly batch: number;
  /** How long the sessions of a batch may end by themselves, ms; then they are asked to move. */
  readonly waitMs: number;
  /** How long that may take before what is left is cut, ms. */
  readonly graceMs: number;
  /** Instances whose turn is to come. */
  readonly waiting: readonly string[];
  /** Instances of the batch that is being replaced. */
  readonly leaving: readonly string[];
  /** Since when these take no new session: their replacements were ready then; null: they are not yet. */
  readonly leavingSinceMs: number | null;
}

/**
 * The only way from one state to another.
 * @throws HoldoverError RELEASE_TRANSITION where the states of DESIGN do not have this step
 */
export function transition(release: ReleaseRecord, to: ReleaseState): ReleaseRecord {
  const from = release.state.name;
  if (!mayBecome(from, to.name)) {
    throw new HoldoverError("RELEASE_TRANSITION", {
      release: release.id,
      from,
      to: to.name,
      allowed: ALLOWED[from].join(", "),
    });
  }
  // What is on its way to take new sessions is not prepared to be left.
  const preparation = to.name === "starting" || to.name === "ramping" ? null : release.preparation;
  return { ...release, state: to, preparation, currentAtMs: to.name === "current" ? to.sinceMs : release.currentAtMs };
}

/** What a release takes. */
export type Admission = "new" | "existing" | "none";

const ADMISSION: Record<ReleaseStateName, Admission> = {
  starting: "none",
  ready: "none",
  ramping: "new",
  current: "new",
  retained: "existing",
  // A session that has not been moved yet stays whole: whoever joins it joins it where it is (rule 1).
  expiring: "existing",
  retired: "none",
  failed: "none",
};

/** It holds no session and never will again, unless it is deployed anew. */
export function isOver({ state }: ReleaseRecord): boolean {
  return state.name === "retired" || state.name === "failed";
}

export function admissionOf(state: ReleaseState): Admission {
  return ADMISSION[state.name];
}

/** What is stored of a service: its definition in force and all its releases, oldest first. */
export interface ServiceRecord {
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly releases: readonly ReleaseRecord[];
}

/**
 * @throws HoldoverError RELEASE_UNKNOWN
 */
export function releaseOf(service: ServiceRecord, id: string): ReleaseRecord {
  const release = service.releases.find((candidate) => candidate.id === id);
  if (release) return release;
  throw new HoldoverError("RELEASE_UNKNOWN", {
    service: service.name,
    release: id,
    known: service.releases.map((known) => known.id).join(", ") || "none yet",
  });
}

export function currentRelease(service: ServiceRecord): ReleaseRecord | undefined {
  return service.releases.find((release) => release.state.name === "current");
}

/** The release that a rollback goes to: the retained one that was current last. */
export function previousRelease(service: ServiceRecord): ReleaseRecord | undefined {
  return service.releases
    .filter((release) => release.state.name === "retained" && release.currentAtMs > 0)
    .reduce<ReleaseRecord | undefined>(
      (last, next) => (!last || next.currentAtMs > last.currentAtMs ? next : last),
      undefined,
    );
}

/** The service with one of its releases put in place of its older self, or added at the end. */
export function withRelease(service: ServiceRecord, release: ReleaseRecord): ServiceRecord {
  const known = service.releases.some((candidate) => candidate.id === release.id);
  return {
    ...service,
    releases: known
      ? service.releases.map((candidate) => (candidate.id === release.id ? release : candidate))
      : [...service.releases, release],
  };
}

/**
 * Makes a release current and the one before it retained, as one change: this is the cutover, and a rollback too.
 * The definition that a release was deployed with comes into force when it is current for the first time, so that a
 * deploy that fails changes nothing; a rollback goes on with the definition in force.
 * `currentAtMs` grows with every cutover even where the clock was set back: a rollback goes by that order.
 * The one that becomes current is not prepared for another cutover, and the one before it is not restarted any more.
 * @param live sessions on the one that is retained; null where nobody could count them
 * @throws HoldoverError RELEASE_UNKNOWN, RELEASE_TRANSITION
 */
export function cutover(service: ServiceRecord, id: string, nowMs: number, live: number | null): ServiceRecord {
  const before = currentRelease(service);
  const lastMs = Math.max(0, ...service.releases.map((release) => release.currentAtMs));
  const next = {
    ...transition(releaseOf(service, id), current(nowMs)),
    currentAtMs: Math.max(nowMs, lastMs + 1),
    preparation: null,
  };
  const demoted = before
    ? withRelease(service, { ...transition(before, retained(nowMs, live)), restart: null })
    : service;
  const first = releaseOf(service, id).currentAtMs === 0;
  return withRelease(first ? { ...demoted, definition: next.definition } : demoted, next);
}

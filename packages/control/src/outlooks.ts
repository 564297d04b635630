import {
  allowedCuts,
  asHoldoverError,
  calibrate,
  currentRelease,
  emptyForecastRecord,
  forecastRetirement,
  isForced,
  LENGTHS_WINDOW,
  outlookKey,
  remember,
  settle,
  stretchOf,
  UNBOUNDED_HORIZON_MS,
  type AgeGroup,
  type Clock,
  type DataPlane,
  type EndedSession,
  type ForecastRecord,
  type ForecastStore,
  type Outlook,
  type ReleaseRecord,
  type RetentionPolicy,
  type RetirementForecast,
  type ServiceRecord,
  type SessionAges,
  type SessionEvent,
  type SessionHistory,
} from "@holdover/core";
import { lengthsOf, type KnownLengths } from "./known-lengths.ts";

/** How often retained releases are looked at, ms: their deadline follows what is seen then. */
const LOOK_EVERY_MS = 2000;
/** How often the forecast is tried on the current release, ms; by these trials it learns how far off it is. */
const TRIAL_EVERY_MS = 5 * 60_000;
/** Lengths are estimated anew after this, ms, or after a tenth more ends. */
const LENGTHS_EVERY_MS = 60_000;
const LENGTHS_GROWN = 0.1;
/** Ends that a new control process reads to settle the trials of the one before. */
const RECOUNTED = 10_000;

export interface OutlooksOptions {
  readonly history: SessionHistory;
  readonly forecasts: ForecastStore;
  readonly dataPlane: Pick<DataPlane, "ages">;
  readonly services: () => readonly ServiceRecord[];
  readonly clock: Clock;
  /** An outlook has changed. */
  readonly changed: () => void;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** A trial that waits for its outcome: how many of its sessions are left. */
interface Cohort {
  left: number;
  retiredAtMs: number | undefined;
  /** One of them was ended by force: nobody will know when the trial would have come to its end. */
  forced: boolean;
}

/** What is known of one service. */
interface Knowledge {
  record: ForecastRecord;
  readonly cohorts: Map<number, Cohort>;
  lengths: KnownLengths | undefined;
  lengthsAtMs: number;
  /** When the forecast was last tried, by this process; 0 for never. */
  triedAtMs: number;
  /** Ends that came since the lengths were estimated. */
  newEnds: number;
}

/**
 * How long sessions last, how old the live ones are, and what follows for each release: looked at every few seconds
 * while a release is retained, and tried on the current one every few minutes.
 */
export class Outlooks {
  readonly #options: OutlooksOptions;
  readonly #services = new Map<string, Knowledge>();
  readonly #outlooks = new Map<string, Outlook>();
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(options: OutlooksOptions) {
    this.#options = options;
  }

  /** Reads the past forecasts and begins to look. @throws HoldoverError STORE_FAILED, STORE_CORRUPT */
  async start(): Promise<void> {
    for (const [service, record] of await this.#options.forecasts.load()) {
      this.#services.set(service, { ...nothingKnown(), record: await this.#recounted(service, record) });
    }
    this.#keepLooking();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** By {@link outlookKey}: the outlooks of the releases that are retained. */
  all(): ReadonlyMap<string, Outlook> {
    return this.#outlooks;
  }

  /** Sessions of the trials that have ended meanwhile. */
  noteEnds(events: readonly SessionEvent[]): void {
    for (const event of events) {
      if (event.kind !== "ended") continue;
      const known = this.#services.get(event.session.service);
      if (!known) continue;
      known.newEnds += 1;
      noteEnd(known, event.session);
    }
  }

  /**
   * The outlook of any release, asked for now.
   * @param live sessions that the budget counts from: those live at its cutover; null: not known
   * @throws HoldoverError LINK_DOWN
   */
  async ask(service: ServiceRecord, release: ReleaseRecord, live: number | null): Promise<Outlook> {
    const ages = await this.#options.dataPlane.ages({ service: service.name, by: "release" });
    return this.#outlookOf(service, release, ages, await this.lengths(service, ages), live);
  }

  /** How long the sessions of a service last, as known now. */
  async lengths(service: ServiceRecord, ages: SessionAges): Promise<KnownLengths> {
    const { clock, history } = this.#options;
    const known = this.#knowledgeOf(service.name);
    const nowMs = clock.now();
    const ends = known.lengths?.ends ?? 0;
    const passedMs = nowMs - known.lengthsAtMs;
    const stale = passedMs >= LENGTHS_EVERY_MS || passedMs < 0 || known.newEnds > Math.max(10, ends * LENGTHS_GROWN);
    if (known.lengths && !stale) return known.lengths;
    const sinceMs = nowMs - LENGTHS_WINDOW.lookbackMs;
    // One more than count: it tells where the window opens.
    const ended = await history.ended({ service: service.name, sinceMs }, LENGTHS_WINDOW.mostEnds + 1);
    known.lengths = lengthsOf(ended, ages, nowMs);
    known.lengthsAtMs = nowMs;
    known.newEnds = 0;
    return known.lengths;
  }

  #keepLooking(): void {
    if (this.#stopped) return;
    this.#look()
      .catch((thrown: unknown) => {
        const { code, message } = asHoldoverError(thrown);
        // While the host is away nothing new is known; the outlooks that there are grow old and say so.
        if (code !== "LINK_DOWN") this.#options.log("outlook.failed", { problem: message });
      })
      .finally(() => {
        if (!this.#stopped) this.#cancel = this.#options.clock.after(LOOK_EVERY_MS, () => this.#keepLooking());
      })
      .catch(() => {});
  }

  async #look(): Promise<void> {
    const { clock, dataPlane, services, changed } = this.#options;
    const seen = new Set<string>();
    for (const service of services()) {
      const retained = service.releases.filter(({ state }) => state.name === "retained");
      const current = currentRelease(service);
      const lastMs = this.#knowledgeOf(service.name).triedAtMs;
      const nowMs = clock.now();
      // A clock that was set back would wait for its old time to come again.
      const tries = current !== undefined && (nowMs - lastMs >= TRIAL_EVERY_MS || nowMs < lastMs);
      if (retained.length === 0 && !tries) continue;
      const ages = await dataPlane.ages({ service: service.name, by: "release" });
      const lengths = await this.lengths(service, ages);
      for (const release of retained) {
        const live = release.state.name === "retained" ? release.state.live : null;
        const key = outlookKey(service.name, release.id);
        this.#outlooks.set(key, this.#outlookOf(service, release, ages, lengths, live));
        seen.add(key);
      }
      if (!tries) continue;
      this.#knowledgeOf(service.name).triedAtMs = nowMs;
      await this.#try(service, current, ages, lengths);
    }
    for (const key of this.#outlooks.keys()) if (!seen.has(key)) this.#outlooks.delete(key);
    if (seen.size > 0) changed();
  }

  #outlookOf(
    service: ServiceRecord,
    release: ReleaseRecord,
    ages: SessionAges,
    lengths: KnownLengths,
    live: number | null,
  ): Outlook {
    const nowMs = this.#options.clock.now();
    const policy = service.definition.retention;
    const own = ages.groups.filter((group) => group.release === release.id);
    const groups = lengths.groupsOf(own);
    const lingerers = lingersLeft(own);
    const linger = { lingerMs: service.definition.session.linger, lingerers };
    const outlook = { atMs: nowMs, lengths: lengths.service, groups, linger };
    if (!groups) return { ...outlook, forecast: undefined, trials: 0, stretch: { low: 1, median: 1, high: 1 } };
    const sinceMs = release.state.name === "retained" ? release.state.sinceMs : nowMs;
    const ceilingMs = ceilingOf(policy);
    const horizonMs = ceilingMs === null ? UNBOUNDED_HORIZON_MS : Math.max(0, ceilingMs - (nowMs - sinceMs));
    const allowed = allowedOf(policy, live);
    // Cut off at the ceiling only when it is corrected: "not before the ceiling" must not be corrected to before it.
    const open = forecastRetirement({ groups, allowed, horizonMs: UNBOUNDED_HORIZON_MS });
    const held = forecastRetirement({ groups, allowed, horizonMs: UNBOUNDED_HORIZON_MS, ...linger });
    const sessions = groups.reduce((sum, group) => sum + group.live.sessions, 0);
    const question = { atMs: nowMs, release: release.id, live: sessions, allowed };
    const learned = calibrate(this.#knowledgeOf(service.name).record, open, question, UNBOUNDED_HORIZON_MS);
    return {
      ...outlook,
      stretch: stretchOf(open, learned),
      forecast: shifted(held, open, learned, horizonMs),
      trials: this.#knowledgeOf(service.name).record.settled.length,
    };
  }

  /** "If the current release were replaced now, when would it have retired?" */
  async #try(service: ServiceRecord, current: ReleaseRecord, ages: SessionAges, lengths: KnownLengths): Promise<void> {
    const known = this.#knowledgeOf(service.name);
    const { name, definition } = service;
    const atMs = ages.atMs;
    const groups = lengths.groupsOf(ages.groups.filter((group) => group.release === current.id));
    const live = groups?.reduce((sum, group) => sum + group.live.sessions, 0) ?? 0;
    const ceilingMs = ceilingOf(definition.retention) ?? UNBOUNDED_HORIZON_MS;
    const allowed = allowedOf(definition.retention, live);
    const pending = known.record.pending.filter((trial) => {
      const cohort = known.cohorts.get(trial.atMs);
      return !cohort?.forced || cohort.retiredAtMs !== undefined;
    });
    let record = settle({ ...known.record, pending }, atMs, (trial) => known.cohorts.get(trial.atMs)?.retiredAtMs);
    if (groups && live > 0) {
      const model = forecastRetirement({ groups, allowed, horizonMs: UNBOUNDED_HORIZON_MS });
      record = remember(record, model, { atMs, release: current.id, live, allowed }, ceilingMs);
      known.cohorts.set(atMs, { left: live, retiredAtMs: undefined, forced: false });
    }
    const waiting = new Set(record.pending.map((trial) => trial.atMs));
    for (const at of known.cohorts.keys()) if (!waiting.has(at)) known.cohorts.delete(at);
    known.record = record;
    await this.#options.forecasts.save(name, known.record);
  }

  /** What the control process before has not counted any more is in the history; a trial older than what is read is given up. */
  async #recounted(service: string, record: ForecastRecord): Promise<ForecastRecord> {
    const oldestMs = Math.min(...record.pending.map((trial) => trial.atMs));
    if (record.pending.length === 0) return record;
    const ended = await this.#options.history.ended({ service, sinceMs: oldestMs }, RECOUNTED);
    const reachMs = ended.length < RECOUNTED ? oldestMs : (ended.at(-1)?.endedAtMs ?? Infinity);
    const known = {
      ...nothingKnown(),
      record: { ...record, pending: record.pending.filter((t) => t.atMs >= reachMs) },
    };
    this.#services.set(service, known);
    for (const trial of known.record.pending)
      known.cohorts.set(trial.atMs, { left: trial.live, retiredAtMs: undefined, forced: false });
    for (const session of ended.toReversed()) noteEnd(known, session);
    return known.record;
  }

  #knowledgeOf(service: string): Knowledge {
    const known = this.#services.get(service) ?? nothingKnown();
    this.#services.set(service, known);
    return known;
  }
}

function nothingKnown(): Knowledge {
  return {
    record: emptyForecastRecord(),
    cohorts: new Map(),
    lengths: undefined,
    lengthsAtMs: 0,
    triedAtMs: 0,
    newEnds: 0,
  };
}

function noteEnd({ record, cohorts }: Knowledge, { release, openedAtMs, endedAtMs, reason }: EndedSession): void {
  for (const trial of record.pending) {
    const cohort = cohorts.get(trial.atMs);
    if (!cohort || release !== trial.release || openedAtMs > trial.atMs || endedAtMs <= trial.atMs) continue;
    cohort.forced ||= isForced(reason);
    cohort.left -= 1;
    if (cohort.left <= trial.allowed) cohort.retiredAtMs ??= endedAtMs;
  }
}

/** The longest that the policy keeps a release, ms; null: nothing ends it. */
function ceilingOf(policy: RetentionPolicy): number | null {
  if (policy.policy === "fixed") return policy.window;
  return policy.policy === "until-empty" ? null : policy.ceiling;
}

function allowedOf(policy: RetentionPolicy, live: number | null): number {
  return policy.policy === "budget" ? allowedCuts(policy.disruptionBudget, live) : 0;
}

/** Calibration moves the forecast with lingers by as much as it moved the one without: a linger is certain. */
function shifted(
  held: RetirementForecast,
  open: RetirementForecast,
  learned: RetirementForecast,
  horizonMs: number,
): RetirementForecast {
  const within = (ms: number) => Math.max(0, Math.min(horizonMs, ms));
  return {
    lowMs: within(held.lowMs + learned.lowMs - open.lowMs),
    medianMs: within(held.medianMs + learned.medianMs - open.medianMs),
    highMs: within(held.highMs + learned.highMs - open.highMs),
    known: held.known,
  };
}

/** What is left of the linger of each session that lingers, ms. */
function lingersLeft(groups: readonly AgeGroup[]): number[] {
  return groups.flatMap(({ lingering }) =>
    lingering.ageMs.flatMap((leftMs, bin) => Array<number>(lingering.count[bin] ?? 0).fill(leftMs)),
  );
}

import {
  endedQuantiles,
  isOver,
  lengthQuantile,
  residualLife,
  survivalCurve,
  type Clock,
  type ServiceRecord,
  type SessionAges,
  type SessionHistory,
} from "@holdover/core";
import type { LengthsDetailView } from "./api/timeline-views.ts";
import type { Outlooks } from "./outlooks.ts";
import { Recent } from "./recent.ts";

const CURVE_POINTS = 120;
const RESIDUAL_POINTS = 60;
const DAY_MS = 86_400_000;
const DAYS = 14;
/** Ends of a day that its quantiles are told from, at the most: the error of a P99 is then a tenth of a percent of sessions. */
const MOST_ENDS = 5000;
/** Today, and what came late for yesterday, is looked at again after this, ms. */
const TODAY_EVERY_MS = 60_000;
/** What was told is told again for so long, ms: of 50 releases it takes a tenth of a second. */
const TOLD_LASTS_MS = 5000;

type Day = LengthsDetailView["days"][number];

export interface LengthsDetailOptions {
  readonly outlooks: Outlooks;
  readonly history: SessionHistory;
  /** How old live sessions are. @throws HoldoverError LINK_DOWN */
  readonly ages: (service: string) => Promise<SessionAges>;
  readonly clock: Clock;
}

/** How long sessions last, how that was on the days before, and how much longer those will that are open now. */
export class LengthsDetail {
  readonly #options: LengthsDetailOptions;
  readonly #told: Recent<LengthsDetailView>;
  /** By service and day: what is over does not change. */
  readonly #days = new Map<string, Map<number, { readonly day: Day; readonly atMs: number }>>();

  constructor(options: LengthsDetailOptions) {
    this.#options = options;
    this.#told = new Recent(TOLD_LASTS_MS, options.clock);
  }

  /** As it was told last, not long ago. @throws HoldoverError LINK_DOWN */
  of(service: ServiceRecord): Promise<LengthsDetailView> {
    return this.#told.of(service.name, () => this.#tell(service));
  }

  async #tell(service: ServiceRecord): Promise<LengthsDetailView> {
    const { outlooks, clock } = this.#options;
    const ages = await this.#options.ages(service.name);
    const lengths = await outlooks.lengths(service, ages);
    const { service: known } = lengths;
    const estimate = known.kind === "estimated" ? known.lengths : null;
    const quantile = (share: number): number | null => (estimate && lengthQuantile(estimate, share)) ?? null;
    const residual = service.releases
      .filter((release) => !isOver(release))
      .flatMap(({ id }) => {
        const own = ages.groups.filter((group) => group.release === id);
        const sessions = own.reduce((sum, { open }) => sum + open.sessions, 0);
        if (sessions === 0) return [];
        const { curve, ...life } = residualLife(lengths.groupsOf(own) ?? [], RESIDUAL_POINTS);
        return [{ release: id, ...life, known: estimate !== null && life.known, sessions, curve: [...curve] }];
      });
    return {
      service: service.name,
      nowMs: clock.now(),
      known: estimate !== null,
      ends: known.kind === "estimated" ? known.lengths.ends : known.ends,
      why: known.why,
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
      p99Ms: quantile(0.99),
      curve: estimate ? survivalCurve(estimate, CURVE_POINTS) : [],
      days: await this.#daysOf(service.name),
      residual,
    };
  }

  /** The last days on which sessions ended, oldest first. */
  async #daysOf(service: string): Promise<Day[]> {
    const nowMs = this.#options.clock.now();
    const todayMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
    const firstMs = todayMs - (DAYS - 1) * DAY_MS;
    const known = this.#days.get(service) ?? new Map<number, { readonly day: Day; readonly atMs: number }>();
    this.#days.set(service, known);
    for (const dayMs of known.keys()) if (dayMs < firstMs || dayMs > todayMs) known.delete(dayMs);
    const days: Day[] = [];
    for (let dayMs = firstMs; dayMs <= todayMs; dayMs += DAY_MS) {
      const before = known.get(dayMs);
      const ageMs = before ? nowMs - before.atMs : Infinity;
      const isFresh =
        before !== undefined && (before.atMs >= dayMs + 2 * DAY_MS || (ageMs >= 0 && ageMs < TODAY_EVERY_MS));
      const day = isFresh ? before.day : await this.#day(service, dayMs);
      if (!isFresh) known.set(dayMs, { day, atMs: nowMs });
      if (day.ends > 0) days.push(day);
    }
    return days;
  }

  async #day(service: string, dayMs: number): Promise<Day> {
    const { clock, history } = this.#options;
    // Others get their turn between two days: of a busy service each takes a while.
    await new Promise<void>((resolve) => void clock.after(0, resolve));
    const lengths = await history.lengths(service, dayMs, dayMs + DAY_MS, MOST_ENDS);
    return { dayMs, ends: lengths.ends, ...endedQuantiles(lengths) };
  }
}

import {
  asHoldoverError,
  HoldoverError,
  isOver,
  lanesAt,
  samplesOf,
  type AuditLog,
  type Clock,
  type DataPlane,
  type Platform,
  type ServiceRecord,
  type SessionCounts,
  type SessionSamples,
  type SessionTimeline,
} from "@holdover/core";
import { MARK_KINDS, type TimelineQuery, type TimelineView } from "./api/timeline-views.ts";

/** How often sessions are counted, ms. */
const SAMPLE_EVERY_MS = 5000;
/** So many samples are stored at once: once a minute, so that the disk is not busy with them. */
const SAMPLES_A_RUN = 12;
/** A sample that was missed, or came late, is no gap yet, ms. */
const SAMPLE_LASTS_MS = 2.5 * SAMPLE_EVERY_MS;
/** How long samples are kept, ms. */
const TIMELINE_KEPT_MS = 48 * 3_600_000;
/** What is told unless more is asked for, ms. */
const TOLD_MS = 3_600_000;
/** Marks of one answer, at the most: the last of them. */
const MOST_MARKS = 1000;

export interface TimelineOptions {
  readonly timeline: SessionTimeline;
  readonly audit: AuditLog;
  readonly platform: Pick<Platform, "instances">;
  readonly dataPlane: Pick<DataPlane, "counts">;
  readonly services: () => readonly ServiceRecord[];
  readonly clock: Clock;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/**
 * Counts the sessions of every release that is not over, every few seconds, and tells of the counts of the last two days. A
 * control process that crashes takes less than a minute of them along, and that is a gap as is the time without one.
 */
export class Timeline {
  readonly #options: TimelineOptions;
  /** What was counted and is not stored yet, by service. */
  #counted = new Map<string, SessionCounts[]>();
  /** What is being stored. */
  #leaving = new Map<string, SessionCounts[]>();
  #samples = 0;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(SAMPLE_EVERY_MS, () => {
      this.#count();
      this.start();
    });
  }

  /** Stores what it has. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#store();
  }

  /** @throws HoldoverError REQUEST_INVALID for times of which none is left, STORE_FAILED */
  async of(service: ServiceRecord, query: TimelineQuery): Promise<TimelineView> {
    const { timeline, clock } = this.#options;
    const nowMs = clock.now();
    const untilMs = Math.min(query.untilMs ?? nowMs, nowMs);
    const wantedMs = Math.max(query.fromMs ?? untilMs - TOLD_MS, nowMs - TIMELINE_KEPT_MS);
    if (!(wantedMs < untilMs)) {
      throw new HoldoverError("REQUEST_INVALID", { problem: "fromMs: it is not before the end, within the last 48 h" });
    }
    const stepMs = Math.max(SAMPLE_EVERY_MS, (untilMs - wantedMs) / (query.points - 1));
    const moments = Math.floor((untilMs - wantedMs) / stepMs + 1e-9) + 1;
    // The end is a moment, whatever the length.
    const fromMs = untilMs - (moments - 1) * stepMs;
    const known: SessionSamples[] = [];
    // Taken before what is stored is asked for: what is stored meanwhile comes twice then, and not never.
    for (const counts of [this.#leaving, this.#counted]) known.push(samplesOf(counts.get(service.name) ?? []));
    const isNow = untilMs === nowMs;
    const live = this.#live().get(service.name) ?? new Map<string, number | null>();
    if (isNow) known.push(samplesOf([{ atMs: nowMs, live }]));
    const stored = await timeline.read(service.name, fromMs - Math.max(stepMs, SAMPLE_LASTS_MS), untilMs);
    const lanes = lanesAt([...stored, ...known], { fromMs, stepMs, count: moments }, SAMPLE_LASTS_MS);
    // What was counted a while ago is not what is live now.
    if (isNow) for (const [release, sessions] of live) if (sessions === null) lanes.get(release)?.splice(-1, 1, null);
    const order = service.releases.map(({ id }) => id);
    return {
      service: service.name,
      nowMs,
      fromMs,
      stepMs,
      moments,
      lanes: Array.from(lanes, ([release, sessions]) => ({ release, sessions })).toSorted(
        (a, b) => order.indexOf(a.release) - order.indexOf(b.release),
      ),
      marks: await this.#marks(service.name, fromMs, untilMs),
    };
  }

  async #marks(service: string, fromMs: number, untilMs: number): Promise<TimelineView["marks"]> {
    const entries = await this.#options.audit.tail(MOST_MARKS, { service, kinds: MARK_KINDS, sinceMs: fromMs });
    return entries.flatMap(({ atMs, seq, kind, release = "", actor, reason }) => {
      const known = MARK_KINDS.find((mark) => mark === kind);
      return known && atMs <= untilMs ? [{ atMs, seq, kind: known, release, actor, reason }] : [];
    });
  }

  #count(): void {
    const atMs = this.#options.clock.now();
    for (const [service, live] of this.#live()) {
      const counted = this.#counted.get(service) ?? [];
      this.#counted.set(service, counted);
      counted.push({ atMs, live });
    }
    this.#samples += 1;
    if (this.#samples >= SAMPLES_A_RUN) void this.#store();
  }

  /** What cannot be stored is a gap later. */
  async #store(): Promise<void> {
    const { timeline, clock, log } = this.#options;
    const leaving = this.#counted;
    this.#leaving = leaving;
    this.#counted = new Map();
    this.#samples = 0;
    try {
      await timeline.append(new Map(Array.from(leaving, ([service, counts]) => [service, samplesOf(counts)])));
      await timeline.forget(clock.now() - TIMELINE_KEPT_MS);
    } catch (thrown) {
      log("timeline.failed", { problem: asHoldoverError(thrown).message });
    }
    if (this.#leaving === leaving) this.#leaving = new Map();
  }

  /** By service and release; null where nobody can count. */
  #live(): Map<string, Map<string, number | null>> {
    const { platform, dataPlane, services } = this.#options;
    const instances = platform.instances();
    const counts = dataPlane.counts();
    const held = new Map<string, Map<string, number>>();
    for (const { id, service, release } of counts ? (instances ?? []) : []) {
      const byRelease = held.get(service) ?? new Map<string, number>();
      held.set(service, byRelease);
      const { open = 0, lingering = 0 } = counts?.get(id) ?? {};
      byRelease.set(release, (byRelease.get(release) ?? 0) + open + lingering);
    }
    const isKnown = instances !== null && counts !== null;
    return new Map(
      services().map(({ name, releases }) => [
        name,
        new Map(
          releases
            .filter((release) => !isOver(release))
            .map(({ id }) => [id, isKnown ? (held.get(name)?.get(id) ?? 0) : null]),
        ),
      ]),
    );
  }
}

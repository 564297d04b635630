import {
  formatDuration,
  problemOf,
  type AuditDraft,
  type Clock,
  type JobEnding,
  type JobOffer,
  type JobPlace,
  type OfferAnswer,
} from "@holdover/core";
import { Slots } from "./agent-slots.ts";
import { idOf, runningJob, type JobSession, type RunningJob } from "./agent-job.ts";
import { Lengths } from "./agent-lengths.ts";
import { checkedOptions, type AgentPoolOptions, type CheckedOptions } from "./agent-options.ts";
import { holdProcess } from "./agent-process.ts";
import type { DrainPhase, RuntimeSnapshot } from "./agent-snapshot.ts";
import { Watchers, type SessionOutcome } from "./agent-watchers.ts";

/** How often it is asked whether the retention window of the release is over, ms. */
const DEADLINE_EVERY_MS = 1000;
/** At the end of the window its dispatcher ends sessions by itself, spread and with a grace; so long it gets for that, ms. */
const OTHERS_FIRST_MS = 2000;
/** How long the dispatcher may take for the last word on each session, and for being closed, ms. */
const LAST_WORDS_MS = 10_000;
/** How long observers and the audit sink may go on after the last session, ms. */
const WATCHERS_MS = 5000;

interface Drain {
  readonly by: "call" | "signal" | "release";
  readonly sinceMs: number;
}

/**
 * Runs jobs, each of them one session, and comes to its end without breaking any: on SIGTERM, or beginDrain(), it takes
 * no more, runs what it has to hang-up, and lets the process end by itself.
 *
 * Whether a job is taken is decided in one step: what was accepted runs, and what is refused goes to another worker at once.
 */
export class AgentPool<Session = JobSession> {
  readonly #options: CheckedOptions<Session>;
  readonly #clock: Clock;
  readonly #watchers: Watchers;
  readonly #slots: Slots;
  readonly #lengths = new Lengths();
  readonly #running = new Map<string, RunningJob>();
  readonly #counts = { started: 0, completed: 0, failed: 0, cut: 0, lost: 0 };
  /** What the dispatcher was told of sessions and has not settled yet: the pool does not end before it. */
  readonly #lastWords = new Set<Promise<void>>();
  readonly #drained = Promise.withResolvers<void>();
  #phase: DrainPhase = "none";
  #drain: Drain | null = null;
  #admits = true;
  /** Its release was current at some time: what comes before that is a start, and no drain to be told of. */
  #hasAdmitted = false;
  #ran = false;
  /** Agents that were given up on, and may still run. */
  #givenUp = 0;
  /** Sessions that were running when the end was forced. */
  #forcedCut = 0;
  /** A signal has begun this drain, or come into it: the next one forces. */
  #signalled = false;
  #callOffDeadline: () => void = () => {};

  /** @throws RangeError for a number that is out of its range */
  constructor(options: AgentPoolOptions<Session>) {
    this.#options = checkedOptions(options);
    const { agents, clock, observers, auditSink, log } = this.#options;
    this.#clock = clock;
    this.#watchers = new Watchers(observers, auditSink, log);
    this.#slots = new Slots({
      ...this.#options,
      hasAgent: (name) => Object.hasOwn(agents, name),
      nowMs: () => clock.now(),
      paused: (tenant, reason) => {
        if (tenant === null) this.#audit("pool.failing", reason);
        else this.#audit("pool.tenant-failing", reason, { tenant });
      },
    });
  }

  /**
   * Takes jobs until it was drained, and resolves then; once for each pool. After a forced end process.exitCode is 1, and
   * agents that do not return although they were told that their session is over are ended with the process.
   * @throws what the dispatcher throws where no job can ever come
   */
  async run(): Promise<void> {
    if (this.#ran) throw new Error("run() was called before: make another pool");
    this.#ran = true;
    const { dispatcher, signals, exit } = this.#options;
    const letGo = signals ? holdProcess((signal) => this.#onSignal(signal)) : null;
    let stopListening = (): void => {};
    try {
      if (this.#phase !== "drained") {
        stopListening = dispatcher.onAdmission((admits) => this.#onAdmission(admits === "new"));
        const opening = dispatcher.open({
          offer: (offer) => this.#offer(offer),
          confirm: (id, place) => this.#confirm(id, place),
          withdraw: (id) => this.#withdraw(id),
          ending: (key, fence, how) => this.#ending(key, fence, how),
        });
        await Promise.race([opening, this.#drained.promise]);
        await this.#drained.promise;
      }
      await this.#within(LAST_WORDS_MS, "the dispatcher", this.#lastWordsSaid());
      await this.#within(WATCHERS_MS, "observers", this.#watchers.idle());
    } finally {
      stopListening();
      await this.#within(LAST_WORDS_MS, "the dispatcher", dispatcher.close());
      letGo?.();
    }
    if (!signals) return;
    if (this.#forcedCut > 0) process.exitCode = 1;
    if (this.#givenUp > 0) exit(this.#forcedCut > 0 ? 1 : 0);
  }

  /**
   * Takes no new session from this call on; those that run go on to their end, and run() resolves after the last. What is
   * left at the drain's end is cut. Does nothing while it drains already.
   * @param reason for the audit log
   */
  beginDrain(reason = "beginDrain() was called"): void {
    this.#begin("call", reason);
  }

  /**
   * Takes new sessions again, as after a rollback.
   * @returns whether a drain was called off: not where there is none, and not once it is forced or over
   */
  cancelDrain(reason = "cancelDrain() was called"): boolean {
    const drain = this.#drain;
    if (this.#phase !== "draining" || !drain) return false;
    if (drain.by === "release" && !this.#admits) return false;
    this.#phase = "none";
    this.#drain = null;
    this.#signalled = false;
    this.#callOffDeadline();
    if (drain.by !== "release") this.#tell("draining", () => this.#comeBack());
    if (drain.by !== "release" || this.#hasAdmitted) this.#audit("pool.drain-cancelled", reason);
    if (!this.#admits) this.#begin("release", "the release takes no new sessions");
    return true;
  }

  /** Cuts what runs, after a word to each agent, and ends as a drain does; what a second SIGTERM does. */
  force(reason = "force() was called"): void {
    if (this.#phase === "forcing" || this.#phase === "drained") return;
    const nowMs = this.#clock.now();
    if (!this.#drain || this.#drain.by === "release") this.#drain = { by: "call", sinceMs: nowMs };
    this.#phase = "forcing";
    this.#callOffDeadline();
    const running = [...this.#running.values()];
    this.#forcedCut = running.length;
    this.#audit("pool.forced", reason, { cut: running.length });
    this.#tell("forced", () => this.#options.dispatcher.forced(running.length, reason));
    for (const job of running) this.#end(job, "cut");
    this.#clock.after(this.#options.cutGrace, () => {
      // Whoever accepted them is about to be closed, and withdraws them.
      this.#slots.withdrawAll();
      this.#lookWhetherDrained();
    });
    this.#lookWhetherDrained();
  }

  runtimeSnapshot(): RuntimeSnapshot {
    const nowMs = this.#clock.now();
    const ages = Array.from(this.#running.values(), ({ startedAtMs }) => nowMs - startedAtMs);
    const endsIn = this.#lengths.lastEndsIn(ages);
    return {
      version: this.#options.deploymentVersion,
      draining: {
        phase: this.#phase,
        sinceMs: this.#drain?.sinceMs ?? null,
        by: this.#drain?.by ?? null,
        deadlineMs: this.#deadlineMs(),
      },
      sessions: {
        active: this.#slots.active,
        reserved: this.#slots.reserved,
        byAgent: Object.fromEntries(this.#slots.byAgent()),
        byTenant: Object.fromEntries(this.#slots.byTenant()),
      },
      ...this.#counts,
      refused: Object.fromEntries(this.#slots.refused),
      failureLimit: this.#slots.failureLimit(),
      etaMs: endsIn === null ? null : nowMs + endsIn,
      watcherFailures: this.#watchers.failures,
      residentBytes: process.memoryUsage.rss(),
    };
  }

  #offer(offer: JobOffer): OfferAnswer {
    const closed = this.#phase === "none" ? null : this.#phase === "drained" ? "closed" : "draining";
    return this.#slots.offer(offer, closed);
  }

  #confirm(id: number, place: JobPlace): boolean {
    const slot = this.#slots.confirm(id);
    if (!slot) return false;
    const job = runningJob(slot, place, this.#clock.now());
    this.#running.set(idOf(job.session.key, place.fence), job);
    this.#counts.started += 1;
    this.#watchers.started(job.watched);
    if (this.#phase === "forcing") {
      job.ended = "cut";
      this.#settle(job, "cut");
    } else void this.#work(job);
    return true;
  }

  #withdraw(id: number): void {
    this.#slots.withdraw(id);
    this.#lookWhetherDrained();
  }

  #ending(key: string, fence: number, how: JobEnding): void {
    const job = this.#running.get(idOf(key, fence));
    if (!job) return;
    if (how === "moved") job.finishing.abort(new Error("the session is asked to come to its end"));
    else this.#end(job, how);
  }

  /** Never rejects. */
  async #work(job: RunningJob): Promise<void> {
    // Whoever confirmed it hears that first: an agent may compute for long before it lets anybody else have a turn.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    const { agents, sessionOf } = this.#options;
    const { agent, tenant, payload } = job.slot.offer;
    try {
      const session = await sessionOf(job.session);
      const signals = { finishing: job.finishing.signal, signal: job.over.signal };
      if (!job.ended) await agents[agent]?.({ session, agent, tenant, payload, ...signals });
    } catch (thrown) {
      this.#settle(job, job.ended ?? "failed", thrown);
      return;
    }
    this.#settle(job, job.ended ?? "completed");
  }

  #end(job: RunningJob, how: "cut" | "lost"): void {
    if (job.ended) return;
    job.ended = how;
    const words = how === "cut" ? "the session is cut" : "the session was placed on another instance";
    job.finishing.abort(new Error(words));
    job.over.abort(new Error(words));
    this.#clock.after(this.#options.cutGrace, () => {
      if (job.outcome) return;
      this.#givenUp += 1;
      this.#watchers.log("agent.given-up", { key: job.session.key, agent: job.watched.agent });
      this.#settle(job, how);
    });
  }

  #settle(job: RunningJob, outcome: SessionOutcome, error?: unknown): void {
    if (job.outcome) {
      // The agent of it was given up on, and has come to an end after all.
      this.#givenUp -= 1;
      return;
    }
    job.outcome = outcome;
    const { session, watched, startedAtMs, slot } = job;
    this.#running.delete(idOf(session.key, session.fence));
    this.#counts[outcome] += 1;
    if (job.ended === null) this.#lengths.add(this.#clock.now() - startedAtMs);
    this.#slots.end(slot, outcome === "completed" ? "success" : outcome === "failed" ? "failure" : "neither");
    if (outcome === "failed") {
      this.#watchers.log("session.failed", { key: session.key, agent: watched.agent, problem: problemOf(error) });
    }
    this.#watchers.ended(watched, outcome, error);
    // Of one that was lost the other side knows already.
    if (outcome !== "lost") this.#tell("finished", () => this.#options.dispatcher.finished(session, outcome));
    this.#lookWhetherDrained();
  }

  #onSignal(signal: string): void {
    if (this.#signalled) {
      this.force(`${signal} came a second time`);
      return;
    }
    this.#signalled = true;
    this.#begin("signal", `${signal} came`);
  }

  #onAdmission(admits: boolean): void {
    this.#admits = admits;
    if (!admits) this.#begin("release", "the release takes no new sessions");
    else if (this.#drain?.by === "release") this.cancelDrain("the release takes new sessions again");
    if (admits) this.#hasAdmitted = true;
  }

  /** A drain of the release goes over into one by word, and never back. */
  #begin(by: Drain["by"], reason: string): void {
    if (this.#phase === "forcing" || this.#phase === "drained") return;
    if (this.#drain && (this.#drain.by !== "release" || by === "release")) return;
    const sinceMs = this.#clock.now();
    this.#drain = { by, sinceMs };
    this.#phase = "draining";
    if (by !== "release" || this.#hasAdmitted) {
      this.#audit("pool.draining", reason, { active: this.#slots.active });
    }
    // Whoever routes by the release's admission knows of it already.
    if (by === "release") return;
    this.#tell("draining", () => this.#options.dispatcher.draining(true));
    this.#watchDeadline();
    this.#lookWhetherDrained();
  }

  /** Of a release that takes no new sessions its own dispatcher ends what is left: spread, and not all at once. */
  #deadlineMs(): number | null {
    const { drainTimeout, dispatcher } = this.#options;
    if (!this.#drain || this.#drain.by === "release") return null;
    return drainTimeout === null ? dispatcher.deadlineMs() : this.#drain.sinceMs + drainTimeout;
  }

  #watchDeadline(): void {
    const deadlineMs = this.#deadlineMs();
    const slackMs = this.#options.drainTimeout === null ? OTHERS_FIRST_MS : 0;
    const leftMs = deadlineMs === null ? DEADLINE_EVERY_MS : deadlineMs + slackMs - this.#clock.now();
    if (leftMs <= 0) {
      this.force("the time of the drain was over");
      return;
    }
    // A window may come to be known, or be moved, while it drains.
    this.#callOffDeadline = this.#clock.after(Math.min(leftMs, DEADLINE_EVERY_MS), () => this.#watchDeadline());
  }

  /** A pool that drains because of its release stays: a rollback needs no start then, and somebody else stops it. */
  #lookWhetherDrained(): void {
    if (this.#phase === "none" || this.#phase === "drained" || this.#drain?.by === "release") return;
    if (this.#slots.active > 0) return;
    this.#phase = "drained";
    this.#callOffDeadline();
    this.#audit("pool.drained", "the last session has ended", { ...this.#counts });
    this.#drained.resolve();
  }

  async #comeBack(): Promise<void> {
    try {
      await this.#options.dispatcher.draining(false);
    } catch (thrown) {
      // Nothing would ever come: it ends, and whoever started it starts another.
      this.#begin("call", "it was given up while it drained");
      throw thrown;
    }
  }

  #tell(what: "draining" | "finished" | "forced", tell: () => Promise<void>): void {
    const told: Promise<void> = Promise.resolve()
      .then(tell)
      .catch((thrown: unknown) => this.#watchers.log("dispatcher.failed", { what, problem: problemOf(thrown) }))
      .finally(() => this.#lastWords.delete(told));
    // That nothing comes any more is of no use to anybody once it has ended.
    if (what !== "draining") this.#lastWords.add(told);
  }

  async #lastWordsSaid(): Promise<void> {
    while (this.#lastWords.size > 0) await Promise.all(this.#lastWords);
  }

  /** Waits for so long at the most, and never rejects. */
  async #within(ms: number, who: string, work: Promise<void>): Promise<void> {
    let callOff = (): void => {};
    const late = new Promise<void>((resolve) => {
      callOff = this.#clock.after(ms, () => {
        this.#watchers.log("end.late", { who, after: formatDuration(ms) });
        resolve();
      });
    });
    const done = work.catch((thrown: unknown) => {
      this.#watchers.log("end.failed", { who, problem: problemOf(thrown) });
    });
    await Promise.race([done, late]);
    callOff();
  }

  #audit(kind: string, reason: string, detail: AuditDraft["detail"] = {}): void {
    const release = this.#options.deploymentVersion;
    this.#watchers.audit({ atMs: this.#clock.now(), kind, actor: "worker", reason, release, detail });
  }
}

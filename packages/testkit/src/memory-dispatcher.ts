import type { Dispatcher, FencedSession, JobDesk, JobEnd, JobEnding, JobOffer, OfferAnswer } from "@holdover/core";

/** What somebody asks for. */
export interface JobAsked {
  readonly key: string;
  readonly agent?: string;
  readonly tenant?: string | null;
  readonly label?: string | null;
  readonly payload?: unknown;
}

/** What they are told. */
export type JobTold =
  | { readonly taken: true; readonly session: FencedSession }
  | { readonly taken: false; readonly why: string };

type Admits = "new" | "existing" | "none";

/** A dispatcher without a link: what the other side would do is done by the test, step by step or by {@link ask}. */
export class MemoryDispatcher implements Dispatcher {
  readonly finishedJobs: { readonly session: FencedSession; readonly end: JobEnd }[] = [];
  readonly forcedEnds: { readonly cut: number; readonly reason: string }[] = [];
  /** What `draining` was called with, in order. */
  readonly drains: boolean[] = [];
  /** What happens between the acceptance of a job and its being stored. */
  beforeConfirm: () => Promise<void> = async () => {};
  /** What `finished`, `forced`, `draining` and `close` wait for. */
  answers: () => Promise<void> = async () => {};
  deadline: number | null = null;
  closed = false;
  readonly #listeners = new Set<(admits: Admits) => void>();
  /** Accepted, and neither confirmed nor withdrawn. */
  readonly #accepted = new Map<number, JobOffer>();
  /** Fences of the sessions that live, by key. */
  readonly #live = new Map<string, number>();
  #desk: JobDesk | null = null;
  #admits: Admits | null = null;
  #lastId = 0;
  #lastFence = 0;

  /** Whether a pool has opened it and not closed it yet. */
  isOpen(): boolean {
    return this.#desk !== null && !this.closed;
  }

  offer({ key, agent = "default", tenant = null, label = null, payload = null }: JobAsked): {
    readonly id: number;
    readonly answer: OfferAnswer;
  } {
    this.#lastId += 1;
    const id = this.#lastId;
    if (!this.#desk || this.closed) return { id, answer: { accepted: false, reason: "closed" } };
    const offer: JobOffer = { id, session: { key, label }, agent, tenant, payload };
    const answer = this.#desk.offer(offer);
    if (answer.accepted) this.#accepted.set(id, offer);
    return { id, answer };
  }

  /** Null: it was withdrawn before, or is not known to the pool. */
  confirm(id: number, openedAtMs = 0): FencedSession | null {
    const offer = this.#accepted.get(id);
    if (!offer || !this.#desk || !this.#accepted.delete(id)) return null;
    this.#lastFence += 1;
    const session = { key: offer.session.key, fence: this.#lastFence };
    this.#live.set(session.key, session.fence);
    if (this.#desk.confirm(id, { fence: session.fence, openedAtMs })) return session;
    this.#live.delete(session.key);
    return null;
  }

  withdraw(id: number): void {
    if (this.#accepted.delete(id)) this.#desk?.withdraw(id);
  }

  end({ key, fence }: FencedSession, how: JobEnding): void {
    this.#desk?.ending(key, fence, how);
  }

  admit(admits: Admits): void {
    this.#admits = admits;
    for (const listener of this.#listeners) listener(admits);
  }

  /** All of it: offered, stored, confirmed. */
  async ask(job: JobAsked): Promise<JobTold> {
    const fence = this.#live.get(job.key);
    if (fence !== undefined) return { taken: true, session: { key: job.key, fence } };
    if (this.drains.at(-1)) return { taken: false, why: "draining" };
    const { id, answer } = this.offer(job);
    if (!answer.accepted) return { taken: false, why: answer.reason };
    await this.beforeConfirm();
    const session = this.confirm(id);
    return session ? { taken: true, session } : { taken: false, why: "link" };
  }

  /** What was accepted and is not stored yet is off, on both sides. */
  breakLink(): void {
    for (const id of this.#accepted.keys()) this.withdraw(id);
  }

  async open(desk: JobDesk): Promise<void> {
    this.#desk = desk;
  }

  async draining(isDraining: boolean): Promise<void> {
    this.drains.push(isDraining);
    await this.answers();
  }

  async finished(session: FencedSession, end: JobEnd): Promise<void> {
    this.finishedJobs.push({ session: { key: session.key, fence: session.fence }, end });
    if (this.#live.get(session.key) === session.fence) this.#live.delete(session.key);
    await this.answers();
  }

  async forced(cut: number, reason: string): Promise<void> {
    this.forcedEnds.push({ cut, reason });
    await this.answers();
  }

  deadlineMs(): number | null {
    return this.deadline;
  }

  onAdmission(listener: (admits: Admits) => void): () => void {
    this.#listeners.add(listener);
    if (this.#admits) listener(this.#admits);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.breakLink();
    this.closed = true;
    await this.answers();
  }
}

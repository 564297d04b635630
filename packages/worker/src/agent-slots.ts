import { formatDuration, type JobOffer, type OfferAnswer, type Refusal } from "@holdover/core";
import { Breaker, type BreakerSettings, type BreakerState, type Pass, type PassResult } from "./agent-breaker.ts";
import { Tenants } from "./agent-tenants.ts";

export interface SlotsOptions {
  /** Whether there is an agent of this name. */
  readonly hasAgent: (name: string) => boolean;
  readonly maxConcurrentSessions: number;
  readonly maxSessionsPerTenant: number | null;
  readonly failureLimit: BreakerSettings | null;
  readonly tenantBreaker: BreakerSettings | null;
  readonly nowMs: () => number;
  /** Nothing is taken for a while: of this tenant, or with null of any. */
  readonly paused: (tenant: string | null, reason: string) => void;
}

/** A slot of the pool, from the acceptance of a job to its end. */
export interface Slot {
  readonly offer: JobOffer;
  readonly poolPass: Pass | null;
  readonly tenantPass: Pass | null;
}

/** Who has a slot. Each step is taken in one turn, so that nothing comes between looking and taking. */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #tenants: Tenants;
  readonly #breaker: Breaker | null;
  /** Accepted, and neither confirmed nor withdrawn. */
  readonly #reserved = new Map<number, Slot>();
  readonly #running = new Set<Slot>();
  readonly #refused = new Map<Refusal, number>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#tenants = new Tenants(options.maxSessionsPerTenant, options.tenantBreaker);
    this.#breaker = options.failureLimit && new Breaker(options.failureLimit);
  }

  /** Slots that are taken. */
  get active(): number {
    return this.#reserved.size + this.#running.size;
  }

  get reserved(): number {
    return this.#reserved.size;
  }

  /** Offers that were refused, by reason. */
  get refused(): ReadonlyMap<Refusal, number> {
    return this.#refused;
  }

  failureLimit(): BreakerState {
    return this.#breaker?.state(this.#options.nowMs()) ?? "closed";
  }

  /** Slots that are taken, by agent. */
  byAgent(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { offer } of [...this.#reserved.values(), ...this.#running]) {
      counts.set(offer.agent, (counts.get(offer.agent) ?? 0) + 1);
    }
    return counts;
  }

  byTenant(): [string, number][] {
    return this.#tenants.active();
  }

  /** @param closed why nothing is taken at all now; null: it may be */
  offer(offer: JobOffer, closed: "draining" | "closed" | null): OfferAnswer {
    const known = this.#reserved.get(offer.id)?.offer;
    if (known && isSameJob(known, offer)) return { accepted: true };
    // Whoever numbers the offers has begun anew, so nobody knows of the one before.
    if (known) this.withdraw(offer.id);
    const nowMs = this.#options.nowMs();
    const reason = closed ?? this.#refusal(offer, nowMs);
    if (reason) {
      this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
      return { accepted: false, reason };
    }
    const tenantPass = offer.tenant === null ? null : this.#tenants.take(offer.tenant, nowMs);
    this.#reserved.set(offer.id, { offer, tenantPass, poolPass: this.#breaker?.take(nowMs) ?? null });
    return { accepted: true };
  }

  /** The slot that was kept for a job; null where none was. */
  confirm(id: number): Slot | null {
    const slot = this.#reserved.get(id);
    if (!slot) return null;
    this.#reserved.delete(id);
    this.#running.add(slot);
    return slot;
  }

  /** Does nothing where no slot is kept for it. */
  withdraw(id: number): void {
    const slot = this.#reserved.get(id);
    if (!slot) return;
    this.#reserved.delete(id);
    this.#giveBack(slot, "neither");
  }

  withdrawAll(): void {
    for (const id of this.#reserved.keys()) this.withdraw(id);
  }

  /** The job has ended that was confirmed with this slot. */
  end(slot: Slot, result: PassResult): void {
    if (this.#running.delete(slot)) this.#giveBack(slot, result);
  }

  #refusal({ agent, tenant }: JobOffer, nowMs: number): Refusal | null {
    if (!this.#options.hasAgent(agent)) return "unknown-agent";
    if (this.#breaker && !this.#breaker.admits(nowMs)) return "failing";
    if (this.active >= this.#options.maxConcurrentSessions) return "full";
    return tenant === null ? null : this.#tenants.refusal(tenant, nowMs);
  }

  #giveBack({ offer, poolPass, tenantPass }: Slot, result: PassResult): void {
    const { failureLimit, tenantBreaker, paused } = this.#options;
    const nowMs = this.#options.nowMs();
    if (poolPass && this.#breaker?.giveBack(poolPass, result, nowMs) && failureLimit) {
      paused(null, `nothing is taken for ${formatDuration(failureLimit.pauseMs)} after failures in a row`);
    }
    const { tenant } = offer;
    if (tenant !== null && this.#tenants.giveBack(tenant, tenantPass, result, nowMs) && tenantBreaker) {
      paused(tenant, `nothing is taken of it for ${formatDuration(tenantBreaker.pauseMs)} after failures in a row`);
    }
  }
}

function isSameJob(one: JobOffer, other: JobOffer): boolean {
  return one.session.key === other.session.key && one.agent === other.agent && one.tenant === other.tenant;
}

import { Breaker, type BreakerSettings, type Pass, type PassResult } from "./agent-breaker.ts";

/** Tenants without a session that are remembered for their failures; of more, those that changed longest ago are forgotten. */
const REMEMBERED = 10_000;

interface Tenant {
  active: number;
  /** Null where there is no breaker per tenant. */
  readonly breaker: Breaker | null;
}

/** Sessions and failures by tenant. */
export class Tenants {
  readonly #most: number | null;
  readonly #settings: BreakerSettings | null;
  /** Those with a session, and those with a failure; who changed last is the last. */
  readonly #known = new Map<string, Tenant>();
  #idle = 0;

  /** @param most sessions of one tenant at once; null: as many as there is room for */
  constructor(most: number | null, settings: BreakerSettings | null) {
    this.#most = most;
    this.#settings = settings;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** Why no session of it is taken now; null: one is. */
  refusal(tenant: string, nowMs: number): "tenant-full" | "tenant-failing" | null {
    const known = this.#known.get(tenant);
    if (!known) return null;
    if (this.#most !== null && known.active >= this.#most) return "tenant-full";
    return known.breaker && !known.breaker.admits(nowMs) ? "tenant-failing" : null;
  }

  /** Only where nothing speaks against it. */
  take(tenant: string, nowMs: number): Pass | null {
    let known = this.#known.get(tenant);
    if (!known) known = { active: 0, breaker: this.#settings && new Breaker(this.#settings) };
    else if (known.active === 0) this.#idle -= 1;
    known.active += 1;
    this.#known.set(tenant, known);
    return known.breaker?.take(nowMs) ?? null;
  }

  /** @returns whether its breaker opened by this */
  giveBack(tenant: string, pass: Pass | null, result: PassResult, nowMs: number): boolean {
    const known = this.#known.get(tenant);
    if (!known) return false;
    known.active -= 1;
    const opened = (pass && known.breaker?.giveBack(pass, result, nowMs)) ?? false;
    if (known.active > 0) return opened;
    this.#known.delete(tenant);
    if (!known.breaker || known.breaker.isUntouched()) return opened;
    this.#known.set(tenant, known);
    this.#idle += 1;
    this.#forget();
    return opened;
  }

  /** Sessions of each tenant that has any. */
  active(): [string, number][] {
    return [...this.#known].filter(([, { active }]) => active > 0).map(([tenant, { active }]) => [tenant, active]);
  }

  #forget(): void {
    if (this.#idle <= REMEMBERED) return;
    for (const [tenant, { active }] of this.#known) {
      if (active > 0) continue;
      this.#known.delete(tenant);
      this.#idle -= 1;
      return;
    }
  }
}

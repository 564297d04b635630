import {
  HoldoverError,
  LatencyCounts,
  place,
  type Clock,
  type Pin,
  type Placement,
  type PinStore,
  type Session,
  type SessionRegistry,
} from "@holdover/core";
import { idOf, type Ends } from "./ends.ts";
import type { TableInForce } from "./table-in-force.ts";

interface PlacingOptions {
  readonly pins: PinStore;
  readonly clock: Clock;
  /** Sessions held at the most. */
  readonly limit: number;
  readonly registry: SessionRegistry;
  readonly inForce: TableInForce;
  readonly ends: Ends;
  readonly isClosing: () => boolean;
  /** Takes their places from the sessions of an instance that has gone. */
  readonly disrupt: (instance: string) => Promise<void>;
}

/** Gives sessions without a place one, by the table in force when they get it, and stores it. */
export class Placing {
  /** How long sessions took to be placed: until their pin was stored. */
  readonly took = new LatencyCounts();
  readonly #options: PlacingOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  /** Sessions by instance whose place the store is writing: they count as if they were there already. */
  readonly #beingWritten = new Map<string, number>();

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  has(service: string, key: string): boolean {
    return this.#underWay.has(idOf(service, key));
  }

  /** Sessions that live on an instance or are about to. */
  countOn(instance: string): number {
    return this.#options.registry.countOn(instance) + (this.#beingWritten.get(instance) ?? 0);
  }

  /**
   * Several requests for a key that has no place wait for one placing, by the first of them. Where the place was lost while
   * the store wrote it, the session has none afterwards.
   * @param only the one instance that it may be placed on; left out: any
   * @throws HoldoverError NO_INSTANCE, SESSION_LIMIT, STORE_FAILED
   */
  place(service: string, key: string, label: string | null, only?: string): Promise<void> {
    const id = idOf(service, key);
    const under = this.#underWay.get(id);
    if (under) return under;
    const placing = this.#place(service, key, label, only).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, placing);
    return placing;
  }

  /** Where a session would go if it ended where it is and came back as a new one; nothing is changed. Undefined: nowhere. */
  chooseAnew({ service: name, key, place: at }: Session): Placement | undefined {
    const service = this.#options.inForce.service(name);
    if (!service || this.#options.isClosing()) return undefined;
    // It makes room where it leaves.
    return place(service, key, (instance) => this.countOn(instance) - Number(instance === at?.instance));
  }

  /** Where a session without a place would go now; nothing is changed. Undefined: nothing that is eligible takes it. */
  choose(name: string, key: string, eligible: (instance: string) => boolean): Placement | undefined {
    const { registry, inForce } = this.#options;
    const service = inForce.service(name);
    if (!service || this.#options.isClosing()) return undefined;
    const last = registry.find(name, key)?.lastPlace;
    return place(service, key, (instance) => this.countOn(instance), last?.release, eligible);
  }

  async #place(name: string, key: string, label: string | null, only: string | undefined): Promise<void> {
    const { pins, clock, limit, registry, inForce, ends } = this.#options;
    const begunAtMs = performance.now();
    // Until the store has its end, it would give the old pin back.
    while (ends.has(name, key)) await ends.save();
    const known = registry.find(name, key);
    if (!known && registry.size + sum(this.#beingWritten) >= limit) throw new HoldoverError("SESSION_LIMIT", { limit });
    const last = known?.lastPlace;
    const choice = this.choose(name, key, (instance) => only === undefined || instance === only);
    if (!choice) throw new HoldoverError("NO_INSTANCE", { service: name });
    const now = clock.now();
    const candidate = {
      service: name,
      key,
      release: choice.release,
      instance: choice.instance.id,
      openedAtMs: known?.openedAtMs ?? now,
      label: known ? known.label : label,
    };
    bump(this.#beingWritten, candidate.instance, 1);
    let pin: Pin;
    try {
      pin = await pins.place(candidate, last?.fence ?? null, now);
    } finally {
      bump(this.#beingWritten, candidate.instance, -1);
    }
    this.took.add(performance.now() - begunAtMs);
    if (known && known.state.name !== "ended") registry.placeAnew(known, pin);
    else registry.add(pin, clock.now(), inForce.release(name, pin.release)?.lingerMs ?? 0);
    // With a store that answers later, an instance may have died or a table come into force in between.
    if (inForce.instance(pin.instance)) {
      if (!inForce.admits(pin, last?.release)) await this.#unplace(pin, last?.release);
    } else if (known) await this.#options.disrupt(pin.instance);
    // Nobody has been on it: its instance's death disrupts nobody.
    else await this.#unplace(pin, undefined);
  }

  /** Nobody has joined it yet: whoever waits for it has it placed by the table in force, on its own release if it was there. */
  async #unplace(pin: Pin, lastRelease: string | undefined): Promise<void> {
    const { registry, ends, clock } = this.#options;
    const session = registry.find(pin.service, pin.key);
    if (!session) return;
    if (pin.release === lastRelease) {
      registry.unplace(session);
      return;
    }
    ends.add(registry.end(session, "moved", clock.now()));
    await ends.save();
  }
}

function bump(counts: Map<string, number>, of: string, by: 1 | -1): void {
  const count = (counts.get(of) ?? 0) + by;
  if (count === 0) counts.delete(of);
  else counts.set(of, count);
}

function sum(counts: Map<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

import type { LiveSession, RoutingTable } from "@holdover/core";
import type { Client } from "./clients.ts";
import type { ControlStore } from "./control-store.ts";
import { idOf } from "./host-store.ts";
import type { Verdict } from "./verdict.ts";
import type { WallClock } from "./virtual-time.ts";

type Ending = "moved" | "cut";

/** A session's place, to whoever asks whether it may be ended. */
interface Placed {
  readonly service: string;
  readonly release: string;
  readonly instance: string | null;
  readonly key: string;
  readonly fence: number;
}

export interface LeavingOptions {
  readonly verdict: Verdict;
  readonly controlClock: WallClock;
  readonly records: () => ControlStore;
  readonly clients: () => Iterable<Client>;
}

/** What may be ended on purpose (rule 3), by the tables that came and the records that they must follow from. */
export class Leaving {
  readonly #options: LeavingOptions;
  /** Releases and instances; of one that the table no longer has, ends may be stored late. */
  readonly #leaving = new Map<string, Ending>();
  /** Services of which a table ever had wedged sessions cut. */
  readonly #cutsWedged = new Set<string>();
  readonly #ages = new Set<string>();
  /** Sessions that an operator has asked to be moved, up to the fence that they had when that was answered. */
  readonly #asked = new Map<string, number>();
  /** Live sessions as they were after the step before, by fence, and how those of them have ended that were to be left. */
  #before: ReadonlyMap<number, Placed> = new Map();
  readonly #endedAs = new Map<number, Ending>();

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  tableArrives({ number, services }: RoutingTable): void {
    for (const { name, releases, connectionAge } of services) {
      if (releases.some(({ wedged }) => wedged?.cut)) this.#cutsWedged.add(name);
      if (connectionAge) this.#ages.add(name);
      const known = this.#options.records().service(name)?.releases;
      for (const { id, ending, instances } of releases) {
        const release = known?.find((one) => one.id === id);
        const graceUntilMs = release?.state.name === "expiring" ? release.state.graceUntilMs : null;
        this.#leaves(number, `${name}/${id}`, ending, graceUntilMs);
        const serves = release?.state.name === "current" || release?.state.name === "ramping";
        // A release that is retained keeps its sessions for its window, whatever was begun before.
        const restart = serves ? release.restart : null;
        const cutsAtMs = (restart?.leavingSinceMs ?? Infinity) + (restart?.waitMs ?? 0) + (restart?.graceMs ?? 0);
        for (const one of instances) {
          this.#leaves(number, one.id, one.ending, restart?.leaving.includes(one.id) ? cutsAtMs : null);
        }
      }
    }
  }

  /** An operator asks for one session to be moved; returns what says that this was answered, with the session's fence then. */
  asked(service: string, key: string): (fence: number) => void {
    this.#asked.set(idOf(service, key), Infinity);
    return (fence) => this.#asked.set(idOf(service, key), fence);
  }

  /** An end that was not stored has not happened; one that was stays so. */
  hostCrashed(pins: Iterable<Placed>): void {
    const stored = new Map(Array.from(pins, (pin) => [pin.fence, pin]));
    for (const [fence, session] of this.#before) {
      const how = stored.has(fence) ? null : this.#isLeft(session);
      if (how) this.#endedAs.set(fence, how);
    }
    for (const fence of stored.keys()) this.#endedAs.delete(fence);
    // The next host may end one in the very step in which it reads it back, by the last table.
    this.#before = stored;
  }

  /** After every step: what has ended stays so, whatever is called off before its connections have had their turn. */
  look(live: Iterable<LiveSession>): void {
    const now = new Map([...live].map((session) => [session.fence, session]));
    for (const [fence, session] of this.#before) {
      const how = now.has(fence) ? null : this.#isLeft(session);
      if (how) this.#endedAs.set(fence, how);
    }
    this.#before = now;
  }

  /** How a session may be ended on purpose now, or was; null: it may not. */
  mayEnd(placed: Placed): Ending | null {
    const { service, key, fence } = placed;
    const asked = fence <= (this.#asked.get(idOf(service, key)) ?? 0);
    return this.#isLeft(placed) ?? (asked ? "moved" : null);
  }

  /** The same by what holds for all sessions of a release, an instance or a service. */
  #isLeft({ service, release, instance, key, fence }: Placed): Ending | null {
    const known =
      this.#endedAs.get(fence) ?? this.#leaving.get(`${service}/${release}`) ?? this.#leaving.get(instance ?? "");
    if (known) return known;
    if (this.#cutsWedged.has(service) && this.#isQuiet(key, fence)) return "cut";
    // One that is its connection ends with that when it is too old.
    return key.startsWith("~") && this.mayAge(service) ? "moved" : null;
  }

  /** Whether connections of a service may ever have been too old. */
  mayAge(service: string): boolean {
    return this.#ages.has(service);
  }

  /** @param cutsAtMs when what is left may be cut, by control's clock; null: nothing may be ended */
  #leaves(table: number, what: string, ending: Ending | null, cutsAtMs: number | null): void {
    const { verdict, controlClock } = this.#options;
    if (ending === null) {
      this.#leaving.delete(what);
      return;
    }
    this.#leaving.set(what, ending);
    if (cutsAtMs === null) verdict.break("stop", `table ${table} ends what is on ${what}, for no reason`);
    else if (ending === "cut" && controlClock.latest() < cutsAtMs) {
      verdict.break("stop", `table ${table} cuts what is on ${what} before its grace is over`);
    }
  }

  #isQuiet(key: string, fence: number): boolean {
    return [...this.#options.clients()].every(
      (client) => client.quiet || client.key !== key || client.hold?.fence !== fence,
    );
  }
}

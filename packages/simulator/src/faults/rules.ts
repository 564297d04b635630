import { type EndedSession, type HoldoverError, type LiveSession, type Pin, type RoutingTable } from "@holdover/core";
import type { Client, ClientWatch, EndHow } from "./clients.ts";
import { CapWatch } from "./cap-watch.ts";
import type { ControlStore } from "./control-store.ts";
import type { Disk } from "./disk.ts";
import { idOf, type HostStore, type PinWatch } from "./host-store.ts";
import type { Host } from "./host.ts";
import type { Processes } from "./processes.ts";
import { Leaving } from "./leaving.ts";
import type { RecordRules } from "./record-rules.ts";
import type { Verdict } from "./verdict.ts";
import type { VirtualTime, WallClock } from "./virtual-time.ts";

/** A client that waits so long, ms, while nothing stands in the way, is not served. */
const STUCK_MS = 3000;

export interface RulesOptions {
  readonly verdict: Verdict;
  readonly recordRules: RecordRules;
  readonly time: VirtualTime;
  readonly hostClock: WallClock;
  readonly controlClock: WallClock;
  readonly hostDisk: Disk;
  readonly store: () => HostStore;
  readonly records: () => ControlStore;
  readonly processes: Processes;
  readonly clients: () => Iterable<Client>;
  readonly host: () => Host | null;
  readonly controlIsUp: () => boolean;
}

/** What has been counted: a run in which nothing happened says nothing. */
export interface Counted {
  readonly placed: number;
  readonly placedAnew: number;
  /** Places given while control was down. */
  readonly placedAlone: number;
  /** Connections closed on purpose. */
  readonly closings: number;
  /** Sessions that have ended. */
  readonly ends: number;
}

/** Looks from outside whether the rules of DESIGN hold. It shares no code with what it watches. */
export class Rules implements PinWatch, ClientWatch {
  readonly #options: RulesOptions;
  readonly #counted = { placed: 0, placedAnew: 0, placedAlone: 0, ends: 0 };
  /** The table that was given to the router last. */
  table: RoutingTable = { number: 0, services: [] };
  readonly #givenUp = new Set<string>();
  readonly #stopped = new Set<string>();
  /** By session: the highest fence that the store gave; it outlives the session. */
  readonly #fences = new Map<string, number>();
  /** By session: the releases it had places on since it began, by fence. */
  readonly #given = new Map<string, Map<number, string>>();
  /** By session: the place that somebody was told of. */
  readonly #answered = new Map<string, Pick<Pin, "fence" | "instance">>();
  readonly #everAnswered = new Set<number>();
  /** Fences that were placed by the host that runs. */
  readonly #placedNow = new Set<number>();
  /** Fences of which a connection was too old: without a linger its session has ended with it. */
  readonly #aged = new Set<number>();
  readonly #leaving: Leaving;
  readonly #cap: CapWatch;

  constructor(options: RulesOptions) {
    this.#options = options;
    this.#leaving = new Leaving(options);
    this.#cap = new CapWatch(options.time, options.hostClock, options.verdict);
  }

  counted(): Counted {
    return { ...this.#counted, closings: this.#cap.counted };
  }

  /** An operator asks for one session to be moved; returns what says that this was answered. */
  moving(service: string, key: string): () => void {
    const answered = this.#leaving.asked(service, key);
    return () => answered(this.#fences.get(idOf(service, key)) ?? 0);
  }

  // What hosts do.

  tableArrives(table: RoutingTable): void {
    if (table.number <= this.table.number) return;
    this.table = table;
    this.#givenUp.clear();
    this.#leaving.tableArrives(table);
  }

  givenUp(instance: string): void {
    this.#givenUp.add(instance);
  }

  stopping(instance: string): void {
    this.#stopped.add(instance);
    const { host, clients } = this.#options;
    const there = [...clients()].filter((client) => client.hold?.instance === instance).length;
    const live = this.#live(host()).filter((session) => session.instance === instance).length;
    if (there + live > 0) {
      this.#options.verdict.break(
        "stop",
        `${instance} is stopped with ${live} sessions and ${there} connections on it`,
      );
    }
  }

  hostCrashed(): void {
    this.#cap.hostCrashed();
    this.#leaving.hostCrashed(this.#options.store().pins());
    this.#options.recordRules.hostCrashed();
    this.#placedNow.clear();
    // The next host has not given it up: control asks again before it stops anything.
    this.#givenUp.clear();
  }

  logged(event: string, detail: Readonly<Record<string, unknown>>): void {
    const { problem } = detail;
    if (typeof problem === "string" && problem.startsWith("Something went wrong inside Holdover"))
      this.#options.verdict.break("sound", `${event}: ${problem}`);
  }

  // What becomes of pins.

  placed(pin: Pin, before: Pin | undefined): void {
    const id = idOf(pin.service, pin.key);
    const last = this.#fences.get(id) ?? 0;
    if (pin.fence <= last)
      this.#options.verdict.break("fence", `${pin.key} is placed under fence ${pin.fence} after ${last}`);
    this.#fences.set(id, pin.fence);
    this.#placedNow.add(pin.fence);
    const given = this.#given.get(id) ?? new Map<number, string>();
    this.#given.set(id, given.set(pin.fence, pin.release));
    this.#counted.placed += 1;
    if (!before) return;
    this.#counted.placedAnew += 1;
    // A place that nobody was told of may be taken back.
    if (this.#everAnswered.has(before.fence) && this.#serves(before.instance)) {
      this.#options.verdict.break(
        "pin-kept",
        `${pin.key} goes from ${before.instance} to ${pin.instance}, and ${before.instance} lives`,
      );
    }
  }

  disrupted({ key, instance }: Pin): void {
    if (this.#serves(instance)) {
      this.#options.verdict.break("pin-kept", `${key} is said to have lost ${instance}, which lives`);
    }
  }

  ended(session: EndedSession): void {
    const { service, key, release, instance, fence, reason } = session;
    const id = idOf(service, key);
    this.#counted.ends += 1;
    const answered = this.#everAnswered.has(fence);
    if (
      (reason === "moved" || reason === "cut") &&
      answered &&
      !this.#aged.has(fence) &&
      !this.#leaving.mayEnd(session)
    ) {
      this.#options.verdict.break("stop", `${key} is ${reason} although ${release} is not being ended`);
    }
    const holding = [...this.#options.clients()].some(
      (client) => client.state === "held" && client.hold?.fence === fence && client.key === key,
    );
    if ((reason === "expired" || reason === "hangup") && holding && this.#options.processes.runs(instance)) {
      this.#options.verdict.break("pin-kept", `${key} has ended as ${reason} while somebody is connected`);
    }
    if (reason === "lost" && answered && this.#serves(instance)) {
      this.#options.verdict.break("pin-kept", `${key} is lost although ${instance} lives`);
    }
    this.#answered.delete(id);
    this.#given.delete(id);
  }

  // What becomes of clients.

  answered(client: Client, hold: NonNullable<Client["hold"]>): void {
    const { store, processes, controlIsUp } = this.#options;
    const { service, key } = client;
    const id = idOf(service, key);
    const { fence, instance, release } = hold;
    if (!controlIsUp()) this.#counted.placedAlone += 1;
    const refused = this.#stopped.has(instance) || this.#givenUp.has(instance);
    if (refused) this.#options.verdict.break("admission", `${key} is answered ${instance}, which was given up`);
    if (processes.isOver(instance))
      this.#options.verdict.break("admission", `${key} is answered ${instance}, which is over`);
    const before = this.#answered.get(id);
    if (before && fence < before.fence)
      this.#options.verdict.break("fence", `${key} is answered fence ${fence} after ${before.fence}`);
    const pin = store().pin(service, key);
    if (pin?.fence !== fence || pin.instance !== instance) {
      this.#options.verdict.break(
        "one-pin",
        `${key} is answered ${instance} under ${fence}, and the store has ${pin?.instance} under ${pin?.fence}`,
      );
    }
    if (!this.#everAnswered.has(fence) && this.#placedNow.has(fence)) {
      const routed = this.#releaseOf(service, release);
      const earlier = [...(this.#given.get(id) ?? [])].some(([one, on]) => one < fence && on === release);
      const cameBack = earlier && routed?.ending === null && routed.admission !== "none";
      const takes = routed?.instances.find(({ id }) => id === instance)?.admission === "new";
      const takesNew = routed?.admission === "new" && routed.percent > 0;
      if (!takes || (!takesNew && !cameBack)) {
        this.#options.verdict.break(
          "admission",
          `${key} is placed on ${release}, which admits ${routed?.admission} under table ${this.table.number}`,
        );
      }
    }
    this.#everAnswered.add(fence);
    this.#answered.set(id, { fence, instance });
  }

  refused(client: Client, error: HoldoverError): void {
    const { code, message } = error;
    const { service, key, waitingSinceMs, askedUnder } = client;
    if (code === "STORE_FAILED") {
      if (this.#options.hostDisk.soundSinceMs() < waitingSinceMs)
        this.#options.verdict.break("serves", `${key} is refused: ${message}`);
    } else if (code === "NO_INSTANCE") {
      const free = this.#freeInstance(service);
      if (free !== undefined && askedUnder === this.table.number) {
        this.#options.verdict.break("serves", `${key} is refused although ${free} takes new sessions`);
      }
    } else this.#options.verdict.break("sound", `${key} is refused with ${code}: ${message}`);
  }

  told(client: Client, how: EndHow): void {
    const { hold, service, key } = client;
    if (!hold) return;
    if (how === "lost") {
      if (this.#serves(hold.instance)) {
        this.#options.verdict.break("pin-kept", `a connection of ${key} is ended as lost, and ${hold.instance} lives`);
      }
      return;
    }
    const may = this.#leaving.mayEnd({ ...hold, service, key });
    const allowed = how === "aged" ? this.#leaving.mayAge(service) : how === "cut" ? may === "cut" : may !== null;
    if (!allowed) {
      this.#options.verdict.break(
        "stop",
        `a connection of ${key} is ${how} although ${hold.instance} is ${may ?? "not being ended"}`,
      );
    }
    if (how === "aged") this.#aged.add(hold.fence);
    else this.#options.recordRules.told(hold.fence);
    const routed = this.table.services.find(({ name }) => name === service);
    const held = [...this.#options.clients()].filter((one) => one.service === service && one.state === "held").length;
    if (routed) this.#cap.closed(routed, key, held);
  }

  // After every step.

  look(): void {
    if (this.#options.verdict.broken) return;
    const host = this.#options.host();
    const live = new Map(this.#live(host).map((session) => [idOf(session.service, session.key), session]));
    if (host) this.#leaving.look(live.values());
    if (host?.listens()) this.#lookAtClients(host, live);
    this.#lookAtPins(live);
    this.#options.recordRules.look();
  }

  #lookAtClients(host: Host, live: ReadonlyMap<string, LiveSession>): void {
    const { processes, time, hostDisk, verdict } = this.#options;
    const { number } = host.sessions.table();
    if (number < this.table.number)
      verdict.break("serves", `a host follows table ${number} after ${this.table.number}`);
    for (const { service, key, state, hold, waitingSinceMs, host: on } of this.#options.clients()) {
      if (on !== host) continue;
      if (state === "waiting" && time.nowMs - Math.max(waitingSinceMs, hostDisk.soundSinceMs()) > STUCK_MS) {
        this.#options.verdict.break(
          "serves",
          `a client of ${key} has waited for a place for ${time.nowMs - waitingSinceMs} ms`,
        );
      }
      if (state !== "held" || !hold || !processes.runs(hold.instance)) continue;
      const session = live.get(idOf(service, key));
      if (session?.fence === hold.fence && session.instance === hold.instance && session.release === hold.release)
        continue;
      // Its session has ended on purpose, and its connection waits for its turn under the cap.
      if (this.#leaving.mayEnd({ ...hold, service, key })) continue;
      const there = `a client of ${key} is on ${hold.instance} under ${hold.fence}, and its session is`;
      if (!session || session.instance === null) this.#options.verdict.break("pin-kept", `${there} not there any more`);
      else this.#options.verdict.break("one-pin", `${there} on ${session.instance} under ${session.fence}`);
    }
  }

  #lookAtPins(live: ReadonlyMap<string, LiveSession>): void {
    const store = this.#options.store();
    for (const session of live.values()) {
      if (session.state !== "open" || session.instance === null) continue;
      const pin = store.pin(session.service, session.key);
      if (pin?.fence !== session.fence || pin.instance !== session.instance) {
        this.#options.verdict.break(
          "durable-pin",
          `${session.key} is open on ${session.instance}, and the store has ${pin?.instance}`,
        );
      }
    }
    for (const [id, { fence, instance }] of this.#answered) {
      const [service = "", key = ""] = id.split("\n");
      const pin = store.pin(service, key);
      if (!pin || pin.fence < fence || (pin.fence === fence && pin.instance !== instance)) {
        this.#options.verdict.break(
          "durable-pin",
          `${key} was answered ${instance} under ${fence}, and the store has ${pin?.instance} under ${pin?.fence}`,
        );
      }
    }
  }

  /** It runs and was not asked to stop, which needs it to be without sessions: what the store still has of them is over. */
  #serves(instance: string): boolean {
    return this.#options.processes.runs(instance) && !this.#stopped.has(instance);
  }

  #live(host: Host | null): LiveSession[] {
    return host ? host.sessions.all() : [];
  }

  #releaseOf(service: string, release: string) {
    return this.table.services.find(({ name }) => name === service)?.releases.find(({ id }) => id === release);
  }

  /** An instance of the current release that takes any number of sessions. */
  #freeInstance(service: string): string | undefined {
    const current = this.table.services
      .find(({ name }) => name === service)
      ?.releases.find(({ admission, percent }) => admission === "new" && percent === 100);
    return current?.instances.find(
      ({ id, capacity, admission }) =>
        capacity === null &&
        admission === "new" &&
        this.#options.processes.runs(id) &&
        !this.#stopped.has(id) &&
        !this.#givenUp.has(id),
    )?.id;
  }
}

import assert from "node:assert/strict";
import {
  HoldoverError,
  type EndedSession,
  type LiveSession,
  type PinStore,
  type RoutedRelease,
  type RoutedService,
  type RoutingTable,
} from "@holdover/core";
import * as fc from "fast-check";
import { ManualClock, settled } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import type { EndHow, Hold } from "../src/hold.ts";
import { Sessions } from "../src/sessions.ts";
import { WORKER_BACK_MS } from "../src/table-in-force.ts";

/**
 * Sessions as a whole, over a store that does each thing, and answers it, whenever the schedule lets it: tables, deaths,
 * drains, joins, leaves, crashes and time in any order. After every step the rules of DESIGN are looked at from outside.
 */

const RELEASES = ["v1", "v2", "v3"];
const KEYS = ["a", "b", "c"];
const AGE = { maxMs: 300, graceMs: 0 };
const CAPACITY = 2;

interface Client {
  readonly key: string | null;
  /** Leaves only when a step says so, although it was told to end. */
  readonly stubborn: boolean;
  /** Since when its session exists, and how long that is to wait for it; null: it has none yet. */
  promised: { readonly openedAtMs: number; readonly lingerMs: number } | null;
  hold: Hold | null;
  state: "waiting" | "held" | "told" | "left" | "refused";
}

const admission = fc.constantFrom("new" as const, "new" as const, "existing" as const, "none" as const);
export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      key: fc.nat(3),
      stubborn: fc.boolean(),
      lasts: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(20) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("store" as const), times: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("table" as const),
      admissions: fc.tuple(admission, admission, admission),
      ending: fc.constantFrom(null, null, null, 0, 1, 2),
      percent: fc.constantFrom(0, 50, 100),
      lingerMs: fc.constantFrom(300, 1000, 3000),
      /** Which of its instances each release gets replaced, and how what is on them is ended. */
      leaving: fc.constantFrom(null, null, 0, 1),
      leavingEnds: fc.constantFrom(null, "moved" as const, "cut" as const),
      aging: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("move" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("time" as const), ms: fc.constantFrom(100, 500, 1200) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("refuse" as const), writes: fc.constantFrom(true, false, false) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;
type TableStep = Omit<Extract<Step, { do: "table" }>, "do">;

export const FIRST_TABLE: TableStep = {
  admissions: ["new", "existing", "existing"],
  ending: null,
  percent: 100,
  lingerMs: 1000,
  leaving: null,
  leavingEnds: null,
  aging: true,
};

export class World {
  readonly #scheduler: fc.Scheduler;
  /** Of a check that ran while somebody was answered. */
  #failure: unknown;
  readonly clock = new ManualClock();
  readonly store = new MemoryPinStore();
  sessions!: Sessions;
  clients: Client[] = [];
  #cached: RoutingTable | undefined;
  #number = 0;
  #keys = 0;
  #incarnation = 0;
  #refuses = false;
  /** Instances that run, by release; one that died or was given up is replaced under another name. */
  readonly #alive = new Map(RELEASES.map((release) => [release, [`${release}-1`, `${release}-2`]]));
  #made = 2;
  readonly #givenUp = new Set<string>();
  /** Fences that were answered to somebody, or read back, by key. */
  readonly #fences = new Map<string, number>();
  /** The release of every pin that the store gave, by its fence, by key. */
  readonly #given = new Map<string, Map<number, string>>();
  /** What has to have been seen for the test to say anything. */
  readonly seen = { placed: 0, anew: 0, shared: 0, aged: 0, kept: 0, moved: 0 };
  /** Fences of sessions that somebody asked to be moved. */
  readonly #asked = new Set<number>();
  /** Until when somebody who has left was promised the place of a session, by key and when the session began. */
  readonly #promised = new Map<string, number>();

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  async start(): Promise<void> {
    this.#incarnation += 1;
    this.sessions = new Sessions({
      pins: this.#pins(this.#incarnation),
      tableCache: { save: (table) => void (this.#cached = table), load: () => this.#cached },
      clock: this.clock,
      limit: 1000,
      newKey: () => `~${(this.#keys += 1)}`,
      random: () => 0.5,
      changed: () => {},
      log: () => {},
    });
    for (const pin of await this.store.pins()) {
      this.#fences.set(pin.key, pin.fence);
    }
    await this.sessions.open();
    // As the host does: nobody else saw what died meanwhile.
    const alive = new Set([...this.#alive.values()].flat());
    const listed = this.#cached?.services.flatMap((s) => s.releases.flatMap((r) => r.instances.map(({ id }) => id)));
    for (const instance of new Set([...(listed ?? []), ...this.sessions.counts().keys()])) {
      if (!alive.has(instance)) void this.sessions.lose(instance);
    }
  }

  /** Each call takes effect at one moment of the schedule and is answered at a later one; a crash may come before either. */
  #pins(incarnation: number): PinStore {
    const { store } = this;
    const later = async <T>(what: string, write: () => Promise<T>): Promise<T> => {
      await this.#scheduler.schedule(Promise.resolve(), `${what} does`);
      if (incarnation !== this.#incarnation) return new Promise<T>(() => {});
      if (this.#refuses) throw new Error("disk full");
      const result = await write();
      await this.#scheduler.schedule(Promise.resolve(), `${what} answers`);
      return incarnation === this.#incarnation ? result : new Promise<T>(() => {});
    };
    return {
      place: (...told) =>
        later(`place ${told[0].key}`, async () => {
          const pin = await store.place(...told);
          const given = this.#given.get(pin.key) ?? new Map<number, string>();
          this.#given.set(pin.key, given.set(pin.fence, pin.release));
          return pin;
        }),
      end: (...told) =>
        later(`end ${this.#ending(told[0])}`, async () => {
          const ended = await store.end(...told);
          for (const { key } of ended) this.#given.delete(key);
          return ended;
        }),
      disrupted: (...told) => later("disrupted", () => store.disrupted(...told)),
      pins: () => store.pins(),
      events: (limit) => store.events(limit),
      forgetEvents: (upTo) => store.forgetEvents(upTo),
      close: () => store.close(),
    };
  }

  /** Nobody waits in vain: what is over has not been promised to anybody any more. Returns the keys. */
  #ending(sessions: readonly EndedSession[]): string {
    for (const { key, fence, openedAtMs, reason } of sessions) {
      if (reason === "moved" && this.#asked.has(fence)) this.seen.moved += 1;
      if (reason !== "expired" && reason !== "lost") continue;
      const untilMs = this.#promised.get(`${key} ${openedAtMs}`) ?? 0;
      if (untilMs > this.clock.now()) this.#failure ??= new Error(`${key} ended before what was promised`);
      if (untilMs > 0) this.seen.kept += 1;
    }
    return sessions.map(({ key }) => key).join();
  }

  table({ admissions, ending, percent, lingerMs, leaving, leavingEnds, aging }: TableStep): void {
    this.#number += 1;
    const service: RoutedService = {
      ...rooms,
      connectionAge: aging ? AGE : null,
      releases: RELEASES.map((id, at) => ({
        id,
        admission: admissions[at] ?? "none",
        percent: at === 0 ? percent : 100,
        ending: ending === at ? "moved" : null,
        lingerMs,
        deadlineMs: null,
        wedged: null,
        instances: (this.#alive.get(id) ?? []).map((one, which) => ({
          id: one,
          host: "127.0.0.1",
          port: 1,
          capacity: CAPACITY,
          admission: leaving === which ? "existing" : "new",
          ending: leaving === which ? leavingEnds : null,
        })),
      })),
    };
    this.#givenUp.clear();
    const before = this.sessions.all();
    this.sessions.apply({ number: this.#number, services: [service] });
    // Rule 5: in the very step in which a table comes into force no pin has changed.
    assert.deepEqual(placesOf(this.sessions.all()), placesOf(before));
  }

  async take(one: Step): Promise<void> {
    const open = this.sessions.all().filter(({ state }) => state === "open");
    const held = this.clients.filter(({ state }) => state === "held");
    switch (one.do) {
      case "connect":
        void this.#connect(KEYS[one.key] ?? null, one.stubborn, one.lasts);
        break;
      case "leave":
        this.#leave(
          pick(
            this.clients.filter(({ state }) => state === "held" || state === "told"),
            one.which,
          ),
        );
        break;
      case "store":
        for (let n = 0; n < one.times && this.#scheduler.count() > 0; n++) await this.#scheduler.waitOne();
        break;
      case "table":
        this.table(one);
        break;
      case "move":
        this.#move(pick(this.sessions.all(), one.which));
        break;
      case "lose": {
        const instance = pick([...this.#alive.values()].flat(), one.which);
        if (instance === undefined) break;
        this.#replace(instance);
        // What its clients were promised counts from now, whenever they hear of it.
        for (const client of this.clients) if (client.hold?.instance === instance) this.#leftWith(client);
        void this.sessions.lose(instance);
        break;
      }
      case "release":
        this.#release(pick([...this.#alive.values()].flat(), one.which));
        break;
      case "time":
        await this.clock.advance(one.ms);
        break;
      case "refuse":
        this.#refuses = one.writes;
        break;
      case "crash":
        this.sessions.close();
        this.clients = [];
        // Those that are read back linger as the table has it.
        this.#promised.clear();
        await this.start();
    }
    await settled();
    await this.check();
    if (one.do === "crash") return;
    // Nobody who stayed was ended, but by the death of the instance or since that, or its release, is being ended.
    for (const session of open) {
      const stayed = held.filter(
        ({ key, hold, state }) => state === "held" && key === session.key && hold?.fence === session.fence,
      );
      if (stayed.length === 0 || this.#asked.has(session.fence) || !this.#stands(session)) continue;
      assert.deepEqual(placesOf(this.sessions.all().filter(({ key }) => key === session.key)), placesOf([session]));
    }
  }

  #stands({ instance, release }: LiveSession): boolean {
    const there = this.#routed(release);
    if (there?.ending !== null || there.instances.some(({ id, ending }) => id === instance && ending !== null))
      return false;
    return [...this.#alive.values()].flat().includes(instance ?? "");
  }

  #routed(release: string): RoutedRelease | undefined {
    return this.sessions.table().services[0]?.releases.find(({ id }) => id === release);
  }

  async #connect(key: string | null, stubborn: boolean, lasts: boolean): Promise<void> {
    const client: Client = { key, stubborn, promised: null, hold: null, state: "waiting" };
    this.clients.push(client);
    const { sessions } = this;
    let ended = false;
    const connection = {
      end: (how: EndHow) => {
        ended = true;
        // Told before it heard of its place: as the front does, it gives that back and takes another.
        if (client.state === "waiting") return;
        if (client.state !== "held") this.#failure ??= new Error(`told to end while it was ${client.state}`);
        client.state = "told";
        if (how === "aged") this.seen.aged += 1;
        // With its session nothing is promised any more.
        if (how !== "aged") client.promised = null;
        if (!stubborn) this.#leave(client);
      },
      bytes: () => 0,
    };
    try {
      for (;;) {
        const hold = await (key === null
          ? sessions.holdConnection(rooms, connection)
          : sessions.hold(rooms, key, connection));
        if (sessions !== this.sessions) return;
        if (ended) {
          ended = false;
          hold.done();
          continue;
        }
        client.hold = hold;
        client.state = "held";
        if (lasts) hold.lasts();
        await this.#answered(client, hold);
        return;
      }
    } catch (thrown) {
      if (client.state === "waiting") client.state = "refused";
      else this.#failure ??= thrown;
    }
  }

  /** Rules 1, 2, 4 and 9 at the moment in which somebody is given a place. */
  async #answered(client: Client, hold: Hold): Promise<void> {
    const { key } = client;
    const live = this.sessions.all().find(({ fence }) => fence === hold.fence);
    assert.partialDeepStrictEqual(live, { instance: hold.instance, release: hold.release, state: "open" });
    assert.ok([...this.#alive.values()].flat().includes(hold.instance), "its instance is alive");
    assert.ok(!this.#givenUp.has(hold.instance), "given up");
    const name = live?.key ?? "";
    const lingerMs = this.#routed(hold.release)?.lingerMs ?? 0;
    if (key !== null) client.promised = { openedAtMs: live?.openedAtMs ?? 0, lingerMs };
    if (key !== null) assert.equal(name, key);
    const before = this.#fences.get(name) ?? 0;
    assert.ok(hold.fence >= before, "a fence went back");
    if (hold.fence > before) {
      const release = this.#routed(hold.release);
      const instance = release?.instances.find(({ id }) => id === hold.instance);
      assert.equal(instance?.admission, "new", `${name} is placed on an instance that is replaced`);
      const earlier = [...(this.#given.get(name) ?? [])].filter(([fence]) => fence < hold.fence);
      const cameBack = release?.ending === null && earlier.some(([, id]) => id === hold.release);
      const takesNew = release?.admission === "new" && release.percent > 0;
      assert.equal(takesNew || (release?.admission !== "none" && cameBack), true, `${name} is where it may be`);
      this.seen.placed += 1;
      if (before > 0) this.seen.anew += 1;
    } else this.seen.shared += 1;
    this.#fences.set(name, hold.fence);
    assert.partialDeepStrictEqual(
      (await this.store.pins()).find((pin) => pin.key === name),
      {
        fence: hold.fence,
        instance: hold.instance,
      },
    );
  }

  #leave(client: Client | undefined): void {
    if (!client) return;
    client.state = "left";
    this.#leftWith(client);
    client.hold?.done();
    client.hold?.done();
  }

  #leftWith(client: Client): void {
    const { key, promised } = client;
    if (!promised) return;
    const of = `${key} ${promised.openedAtMs}`;
    this.#promised.set(of, Math.max(this.#promised.get(of) ?? 0, this.clock.now() + promised.lingerMs));
    client.promised = null;
  }

  /** It is refused, or its turn comes later; in this very step nothing has changed. */
  #move(session: LiveSession | undefined): void {
    if (!session) return;
    const before = placesOf(this.sessions.all());
    try {
      this.sessions.move({ service: "rooms", key: session.key, fence: session.fence });
      this.#asked.add(session.fence);
    } catch (thrown) {
      if (!(thrown instanceof HoldoverError)) throw thrown;
    }
    assert.deepEqual(placesOf(this.sessions.all()), before);
  }

  #release(instance: string | undefined): void {
    if (instance === undefined) return;
    const used = this.clients.some(
      ({ hold, state }) => hold?.instance === instance && (state === "held" || state === "told"),
    );
    const pinned = this.sessions.all().some((session) => session.instance === instance);
    if (!this.sessions.release(instance).released) return;
    assert.equal(used || pinned, false, "an instance is given up only with nothing on it");
    this.#givenUp.add(instance);
    this.#replace(instance);
  }

  #replace(instance: string): void {
    this.#made += 1;
    for (const [release, instances] of this.#alive) {
      const at = instances.indexOf(instance);
      if (at !== -1) instances[at] = `${release}-${this.#made}`;
    }
  }

  async check(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const live = this.sessions.all();
    const pins = new Map((await this.store.pins()).map((pin) => [pin.key, pin]));
    for (const session of live) {
      const pin = pins.get(session.key);
      if (session.state === "open")
        assert.partialDeepStrictEqual(pin, { fence: session.fence, instance: session.instance });
    }
    // Rule 1: whoever is on a live session is where it is.
    const held = this.clients.filter(({ state }) => state === "held" || state === "told");
    for (const session of live) {
      const own = held.filter(({ hold }) => hold?.fence === session.fence);
      if (session.instance !== null) assert.equal(own.length, session.connections);
      for (const { hold } of own) assert.partialDeepStrictEqual(hold, { release: session.release });
    }
    const waiting = this.clients.filter(({ state }) => state === "waiting").length;
    assert.equal(this.sessions.openCount(), held.length + waiting);
    const counts = this.sessions.counts();
    for (const instance of new Set(held.map(({ hold }) => hold?.instance ?? ""))) {
      assert.equal(counts.get(instance)?.connections, held.filter(({ hold }) => hold?.instance === instance).length);
    }
    // After a crash those that had ended, and were not stored as such, are there again.
    for (const instance of this.#incarnation === 1 ? counts.keys() : []) {
      assert.ok(live.filter((session) => session.instance === instance).length <= CAPACITY, "over capacity");
    }
  }

  /** Everybody leaves and time goes on: then nothing is left, in memory or in the store, and all has ended once. */
  async finish(): Promise<void> {
    this.#refuses = false;
    for (let round = 0; round < 30; round++) {
      while (this.#scheduler.count() > 0) await this.#scheduler.waitOne();
      for (const client of this.clients) if (client.state === "held" || client.state === "told") this.#leave(client);
      // By the last round those that were read back have lingered out as well.
      await this.clock.advance(round === 10 ? WORKER_BACK_MS : 200);
    }
    assert.deepEqual(
      this.clients.filter(({ state }) => state === "waiting"),
      [],
    );
    assert.equal(this.sessions.openCount(), 0);
    assert.deepEqual(this.sessions.all(), []);
    assert.deepEqual(await this.store.pins(), []);
    assert.deepEqual([...this.sessions.counts()], []);
    const ends = (await this.store.events(10_000)).flatMap((event) =>
      event.kind === "ended" ? [event.session.fence] : [],
    );
    assert.equal(new Set(ends).size, ends.length);
    this.sessions.close();
  }
}

const rooms: RoutedService = {
  name: "rooms",
  hosts: [],
  path: "/",
  key: [{ query: "room" }],
  label: null,
  disconnects: { atOnce: 0.5, periodMs: 300 },
  lingerMs: 3000,
  connectionAge: null,
  releases: [],
};

function placesOf(sessions: readonly LiveSession[]): unknown[] {
  return sessions.map(({ key, release, instance, fence }) => ({ key, release, instance, fence }));
}

function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % Math.max(1, from.length)];
}

import assert from "node:assert/strict";
import { toInstanceState, type Instance } from "../src/instance.ts";
import { place } from "../src/placement.ts";
import {
  cutover,
  expiring,
  mayBecome,
  previousRelease,
  ready,
  transition,
  withRelease,
  type ReleaseRecord,
  type ReleaseState,
  type ServiceRecord,
} from "../src/release.ts";
import { routedServices, type RoutedService } from "../src/routing-table.ts";
import { SessionRegistry, type Session } from "../src/session-registry.ts";
import { sampleDefinition, sampleInstance, sampleRelease, sampleService } from "./sample-service.ts";

const LINGER_MS = 50;
const exit = { atMs: 0, code: 1, signal: null, error: "INSTANCE_EXITED", problem: "exit code 1" };

/** What may have changed the pin of a key, since it was last looked at. */
type Excuse = "died" | "ended";

/** A router's part of the world, and the control plane's changes to it. */
export class PinWorld {
  readonly registry = new SessionRegistry();
  readonly #connections: { session: Session; fence: number }[] = [];
  #service: ServiceRecord = sampleService([]);
  #instances: Instance[] = [];
  #nowMs = 0;
  #fence = 0;
  #ordinal = 0;
  /** The pins as they should be: whoever changes one without an excuse breaks rule 1 or 5. */
  readonly pins = new Map<string, { release: string; instance: string; fence: number }>();
  readonly #excuses = new Map<string, Excuse>();

  table(): RoutedService {
    const [routed] = routedServices([this.#service], this.#instances, this.#nowMs);
    if (!routed) throw new Error("the service is missing from the table");
    return routed;
  }

  deploy(instances: number, capacity: number | undefined): void {
    const definition = sampleDefinition(capacity === undefined ? {} : { capacity });
    const id = `v${this.#service.releases.length + 1}`;
    this.#service = withRelease(this.#service, sampleRelease(id, ready(this.#nowMs), { definition }));
    for (let count = 0; count < instances; count++) this.start(this.#service.releases.length - 1);
  }

  start(pick: number): void {
    const release = this.#release(pick);
    if (!release) return;
    const id = `rooms-${release.id}-${++this.#ordinal}`;
    const state = { name: "ready", sinceMs: this.#nowMs } as const;
    this.#instances.push(sampleInstance(id, state, { release: release.id }));
  }

  change(pick: number, to: ReleaseState): void {
    const release = this.#release(pick);
    if (release && mayBecome(release.state.name, to.name)) {
      this.#service = withRelease(this.#service, transition(release, to));
    }
  }

  promote(pick: number): void {
    const release = this.#release(pick);
    if (release && mayBecome(release.state.name, "current")) {
      this.#service = cutover(this.#service, release.id, this.#nowMs, null);
    }
  }

  rollback(): void {
    const previous = previousRelease(this.#service);
    if (previous) this.#service = cutover(this.#service, previous.id, this.#nowMs, null);
  }

  expire(pick: number, graceMs: number): void {
    this.change(pick, expiring(this.#nowMs, this.#nowMs + graceMs));
  }

  /** Retired is what no session is on, as the planner sees to it. */
  retire(pick: number): void {
    const release = this.#release(pick);
    if (!release || [...this.pins.values()].some((pin) => pin.release === release.id)) return;
    this.change(pick, { name: "retired", sinceMs: this.#nowMs });
  }

  lose(pick: number): void {
    const alive = this.#instances.filter((one) => one.state.name === "ready");
    const instance = alive[pick % Math.max(1, alive.length)];
    if (!instance) return;
    const lost = toInstanceState(instance, { name: "lost", sinceMs: this.#nowMs, exit });
    this.#instances = this.#instances.with(this.#instances.indexOf(instance), lost);
    // By the pins themselves, not by what the registry says it lost: it may lose too many.
    for (const [key, pin] of this.pins) if (pin.instance === instance.id) this.#excuses.set(key, "died");
    this.registry.loseInstance(instance.id, this.#nowMs);
  }

  connect(key: string): void {
    const table = this.table();
    let session = this.registry.find("rooms", key);
    if (!session?.place) {
      const last = session?.lastPlace.release;
      const choice = place(table, key, (instance) => this.registry.countOn(instance), last);
      if (!choice) return;
      const release = table.releases.find(({ id }) => id === choice.release);
      const returns = choice.release === last && release?.admission === "existing" && release.ending === null;
      assert.ok(release?.admission === "new" || returns, `rule 2: ${key} is placed on ${choice.release}`);
      const { capacity, id } = choice.instance;
      assert.ok(this.registry.countOn(id) < (capacity ?? Number.POSITIVE_INFINITY), `${id} is full`);
      const at = { release: choice.release, instance: id, fence: ++this.#fence };
      const pin = { service: "rooms", key, ...at, openedAtMs: 0, label: null };
      if (session) this.registry.placeAnew(session, pin);
      else session = this.registry.add(pin, this.#nowMs, LINGER_MS);
      assert.ok(!this.pins.has(key), `${key} has a pin and is placed again`);
      this.pins.set(key, { release: pin.release, instance: pin.instance, fence: pin.fence });
    }
    this.#connections.push({ session, fence: this.registry.attach(session, LINGER_MS, this.#nowMs) });
  }

  disconnect(pick: number): void {
    const [connection] = this.#connections.splice(pick % Math.max(1, this.#connections.length), 1);
    if (connection) this.registry.detach(connection.session, connection.fence, LINGER_MS, this.#nowMs);
  }

  wait(ms: number): void {
    this.#nowMs += ms;
    for (const session of this.registry.lingeredOut("rooms", this.#nowMs)) {
      this.#end(session, session.place ? "expired" : "lost");
    }
  }

  /** Ends some of the sessions that are to be moved or cut. */
  endSome(most: number): void {
    for (const { ending, instances } of this.table().releases) {
      if (ending === null) continue;
      const there = instances.flatMap(({ id }) => Array.from(this.registry.on(id)));
      for (const session of there.slice(0, most)) this.#end(session, ending);
    }
  }

  /** @throws AssertionError where a pin changed without an excuse, or a key has two places */
  check(): void {
    for (const [key, reason] of this.#excuses) {
      const pin = this.pins.get(key);
      const session = this.registry.find("rooms", key);
      this.pins.delete(key);
      if (reason === "ended") {
        assert.equal(session, undefined);
      } else {
        assert.equal(session?.place, null);
        assert.deepEqual(session.lastPlace, pin);
      }
    }
    this.#excuses.clear();
    for (const [key, pin] of this.pins) assert.deepEqual(this.registry.find("rooms", key)?.place, pin, key);
    const places = [...this.registry.instances()].flatMap((instance) =>
      Array.from(this.registry.on(instance), (session) => `${session.key} on ${instance}`),
    );
    assert.deepEqual(places.toSorted(), [...this.pins].map(([key, pin]) => `${key} on ${pin.instance}`).toSorted());
  }

  #end(session: Session, reason: "expired" | "lost" | "moved" | "cut"): void {
    this.registry.end(session, reason, this.#nowMs);
    this.#excuses.set(session.key, "ended");
  }

  #release(pick: number): ReleaseRecord | undefined {
    return this.#service.releases[pick % Math.max(1, this.#service.releases.length)];
  }
}

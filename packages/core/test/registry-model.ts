import assert from "node:assert/strict";
import * as fc from "fast-check";
import { SessionRegistry, type Session } from "../src/session-registry.ts";
import { ended, lingering, open, type EndReason, type Pin } from "../src/session.ts";

const pinOf = (key: string, given: Partial<Pin>): Pin => ({
  service: "rooms",
  key,
  release: "v1",
  instance: "i1",
  fence: 1,
  openedAtMs: 0,
  label: null,
  ...given,
});

const SERVICES = ["rooms", "chat"];
const INSTANCES = ["i1", "i2", "i3"];
const REASONS: readonly EndReason[] = ["hangup", "expired", "moved", "cut", "lost"];

const LINGERS = [0, 20, 60, 300];

interface Connection {
  readonly fence: number;
  readonly lingerMs: number;
}

/** What the registry should hold, kept in the most naive way. */
interface Known {
  readonly session: Session;
  readonly pin: Pin;
  placed: boolean;
  fence: number;
  instance: string;
  /** Its live connections: the fence under which each was attached, and the linger that it was promised. */
  connections: Connection[];
  /** Until when its place was promised to anybody who has left, and until when it may be kept at the most. */
  promised: { untilMs: number; mostMs: number };
  /** The longest linger that was promised since it was last opened. */
  longestMs: number;
  /** Turns at which it began to linger; null while it is open. */
  lingersSinceMs: number | null;
  /** Grows with every step, to tell the order of two that began to linger in the same millisecond. */
  lingersFrom: number;
}

/** A registry, and beside it what it should hold. */
export interface RegistryWorld {
  readonly registry: SessionRegistry;
  readonly known: Map<string, Known>;
  /** Fences of connections whose session has left that place since. */
  readonly stale: { session: Session; connection: Connection }[];
  nowMs: number;
  fence: number;
  steps: number;
}

export const registryStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("add" as const),
      service: fc.nat(1),
      key: fc.nat(2),
      on: fc.nat(2),
      lingerMs: fc.constantFrom(...LINGERS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("attach" as const), pick: fc.nat(), lingerMs: fc.constantFrom(...LINGERS) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("detach" as const), pick: fc.nat(), which: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("detach-stale" as const), pick: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("end" as const), pick: fc.nat(), reason: fc.constantFrom(...REASONS) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose" as const), on: fc.nat(2) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("place-anew" as const),
      pick: fc.nat(),
      on: fc.nat(2),
      by: fc.integer({ min: -3, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(50) }) },
);
type Step = typeof registryStep extends fc.Arbitrary<infer T> ? T : never;

const idOf = (session: Session) => `${session.service}/${session.key}`;
const namesOf = (sessions: Iterable<Session>) => Array.from(sessions, idOf).toSorted();

export function newRegistryWorld(): RegistryWorld {
  return { registry: new SessionRegistry(), known: new Map(), stale: [], nowMs: 0, fence: 0, steps: 0 };
}

/** @throws AssertionError where the registry answers otherwise than it should */
export function takeStep(world: RegistryWorld, step: Step): void {
  const { registry, known } = world;
  world.steps += 1;
  const all = [...known.values()];
  const picked = "pick" in step ? all[step.pick % Math.max(1, all.length)] : undefined;
  switch (step.do) {
    case "wait":
      world.nowMs += step.ms;
      return;
    case "add": {
      const pin = pinOf(`k${step.key}`, {
        service: SERVICES[step.service] ?? "",
        instance: INSTANCES[step.on] ?? "",
        fence: ++world.fence,
        openedAtMs: world.nowMs,
      });
      if (known.has(`${pin.service}/${pin.key}`)) {
        assert.throws(() => registry.add(pin, world.nowMs, step.lingerMs), /is already held/);
        return;
      }
      known.set(`${pin.service}/${pin.key}`, {
        session: registry.add(pin, world.nowMs, step.lingerMs),
        pin,
        placed: true,
        fence: pin.fence,
        instance: pin.instance,
        connections: [],
        promised: { untilMs: world.nowMs + step.lingerMs, mostMs: world.nowMs + step.lingerMs },
        longestMs: step.lingerMs,
        lingersSinceMs: world.nowMs,
        lingersFrom: world.steps,
      });
      return;
    }
    case "attach": {
      if (!picked) return;
      if (!picked.placed) {
        assert.throws(() => registry.attach(picked.session, step.lingerMs, world.nowMs), /has no place to attach to/);
        return;
      }
      assert.equal(registry.attach(picked.session, step.lingerMs, world.nowMs), picked.fence);
      picked.connections.push({ fence: picked.fence, lingerMs: step.lingerMs });
      picked.longestMs = Math.max(step.lingerMs, picked.lingersSinceMs === null ? picked.longestMs : 0);
      picked.lingersSinceMs = null;
      return;
    }
    case "detach": {
      const which = step.which % Math.max(1, picked?.connections.length ?? 0);
      const [left] = picked?.connections.splice(which, 1) ?? [];
      if (!picked || !left) return;
      registry.detach(picked.session, left.fence, left.lingerMs, world.nowMs);
      promise(picked, [left], left.lingerMs, world.nowMs);
      if (picked.connections.length > 0) return;
      picked.lingersSinceMs = world.nowMs;
      picked.lingersFrom = world.steps;
      return;
    }
    case "detach-stale": {
      const stale = world.stale[step.pick % Math.max(1, world.stale.length)];
      if (stale) registry.detach(stale.session, stale.connection.fence, stale.connection.lingerMs, world.nowMs);
      return;
    }
    case "end": {
      if (!picked) return;
      const record = registry.end(picked.session, step.reason, world.nowMs);
      assert.deepEqual(record, {
        ...picked.pin,
        instance: picked.instance,
        fence: picked.fence,
        reason: step.reason,
        endedAtMs: picked.lingersSinceMs ?? world.nowMs,
        connectionsClosed: picked.connections.length,
      });
      assert.deepEqual(picked.session.state, ended(step.reason));
      for (const connection of picked.connections) world.stale.push({ session: picked.session, connection });
      known.delete(idOf(picked.session));
      return;
    }
    case "lose": {
      const there = all.filter((one) => one.placed && one.instance === INSTANCES[step.on]);
      const lost = registry.loseInstance(INSTANCES[step.on] ?? "", world.nowMs);
      assert.deepEqual(
        lost.map(({ pin, connections }) => `${pin.service}/${pin.key} ${pin.fence} ${connections}`).toSorted(),
        there.map((one) => `${idOf(one.session)} ${one.fence} ${one.connections.length}`).toSorted(),
      );
      // Sessions that an instance loses together begin to linger in the order in which they are returned.
      for (const [index, { session }] of lost.entries()) {
        const one = known.get(idOf(session)) as Known;
        for (const connection of one.connections) world.stale.push({ session, connection });
        // Who is still there is not asked again: it lingers as for the one who was promised most.
        if (one.lingersSinceMs === null) promise(one, one.connections, one.longestMs, world.nowMs);
        one.placed = false;
        one.connections = [];
        if (one.lingersSinceMs !== null) continue;
        one.lingersSinceMs = world.nowMs;
        one.lingersFrom = world.steps + index / 1000;
      }
      return;
    }
    case "place-anew": {
      if (!picked) return;
      const fence = step.by > 0 ? (world.fence += step.by) : picked.fence + step.by;
      const pin = { ...picked.pin, instance: INSTANCES[step.on] ?? "", fence };
      if (picked.placed) {
        assert.throws(() => registry.placeAnew(picked.session, pin), /has a place/);
      } else if (step.by <= 0) {
        assert.throws(() => registry.placeAnew(picked.session, pin), /is not above/);
      } else {
        registry.placeAnew(picked.session, pin);
        picked.placed = true;
        picked.fence = fence;
        picked.instance = pin.instance;
      }
    }
  }
}

/** Somebody has left to whom its place was promised for a while. What is left of an older promise is rounded up. */
function promise(one: Known, left: readonly Connection[], mostMs: number, nowMs: number): void {
  const untilMs = Math.max(one.promised.untilMs, ...left.map(({ lingerMs }) => nowMs + lingerMs));
  one.promised = { untilMs, mostMs: nowMs + Math.max(mostMs, (untilMs - nowMs) * (1 + 1 / 64)) };
}

/** @throws AssertionError where the registry holds anything else than what is known */
export function compare({ registry, known, nowMs }: RegistryWorld): void {
  const all = [...known.values()];
  assert.equal(registry.size, all.length);
  for (const one of all) {
    const { session } = one;
    assert.equal(registry.find(session.service, session.key), session);
    assert.deepEqual(session.state, one.lingersSinceMs === null ? open() : lingering(one.lingersSinceMs));
    assert.equal(session.connections, one.connections.length);
    const place = { release: "v1", instance: one.instance, fence: one.fence };
    assert.deepEqual(session.place, one.placed ? place : null);
    assert.deepEqual(session.lastPlace, place);
  }
  for (const instance of INSTANCES) {
    const there = all.filter((one) => one.placed && one.instance === instance);
    const openThere = there.filter((one) => one.lingersSinceMs === null).length;
    assert.equal(registry.countOn(instance), there.length);
    assert.deepEqual(namesOf(registry.on(instance)), namesOf(there.map((one) => one.session)));
    assert.deepEqual(registry.countsOf(instance), {
      open: openThere,
      lingering: there.length - openThere,
      connections: there.reduce((sum, one) => sum + one.connections.length, 0),
    });
    assert.equal(new Set(registry.instances()).has(instance), there.length > 0);
  }
  for (const service of SERVICES) {
    const of = all.filter((one) => one.session.service === service);
    assert.deepEqual(namesOf(registry.of(service)), namesOf(of.map((one) => one.session)));
    const over = Array.from(registry.lingeredOut(service, nowMs), (session) => known.get(idOf(session)) as Known);
    for (const one of over) {
      assert.notEqual(one.lingersSinceMs, null);
      assert.ok(one.promised.untilMs <= nowMs, `${idOf(one.session)} is over before what was promised`);
    }
    for (const one of of.filter(({ lingersSinceMs }) => lingersSinceMs !== null)) {
      assert.ok(over.includes(one) || one.promised.mostMs > nowMs, `${idOf(one.session)} is kept for too long`);
    }
    for (const [at, one] of over.entries()) {
      const before = over.slice(0, at).findLast(({ session }) => session.lingerMs === one.session.lingerMs);
      assert.ok(!before || before.lingersFrom < one.lingersFrom, "not the longest first");
    }
  }
}

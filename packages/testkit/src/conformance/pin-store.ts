import type { EndedSession, EndReason, Pin, PinCandidate, PinStore } from "@holdover/core";
import { assert, asyncProperty } from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { byKey, pinModel, pinSteps, withoutNumbers } from "./pin-model.ts";

/** A fresh, empty store. */
export interface OpenedPinStore {
  readonly store: PinStore;
  /** A second router on the same data, where the store can be shared; it is closed with the first. */
  readonly second?: PinStore;
  /** The store as a router finds it that starts again. The one before is closed. */
  reopen(): Promise<PinStore>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link PinStore} keeps to. */
export function pinStoreConformance(name: string, open: () => Promise<OpenedPinStore>): void {
  describe(`${name} as a PinStore`, () => {
    let opened: OpenedPinStore;
    let store: PinStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());

    const routers = (index: number): PinStore => (index % 2 === 0 ? store : (opened.second ?? store));
    const failure = expect.objectContaining({ code: "STORE_FAILED" });

    describe("place", () => {
      it("makes the candidate the pin where the key has none", async () => {
        const pin = await store.place(candidate("room-1"), null, 5);
        expect(pin).toEqual({ ...candidate("room-1"), fence: pin.fence });
        expect(pin.fence).toBeGreaterThan(0);
        expect(await store.pins()).toEqual([pin]);
        expect(await store.events(10)).toEqual([]);
      });

      it("returns the pin that is there and changes nothing, whatever the candidate is", async () => {
        const first = await store.place(candidate("room-1"), null, 5);
        const other = candidate("room-1", { release: "v2", instance: "chat-v2-1", openedAtMs: 99 });
        expect(await store.place(other, null, 6)).toEqual(first);
        expect(await store.pins()).toEqual([first]);
        expect(await store.events(10)).toEqual([]);
      });

      it("puts the candidate in the place of the pin whose fence it replaces, and tells so", async () => {
        const first = await store.place(candidate("room-1", { openedAtMs: 3 }), null, 5);
        const next = candidate("room-1", { release: "v2", instance: "chat-v2-1", openedAtMs: 3 });
        const second = await store.place(next, first.fence, 6);
        expect(second).toEqual({ ...next, fence: second.fence });
        expect(second.fence).toBeGreaterThan(first.fence);
        expect(await store.pins()).toEqual([second]);
        expect(withoutNumbers(await store.events(10))).toEqual([
          { kind: "placed-anew", atMs: 6, pin: second, from: first.instance },
        ]);
      });

      it("changes nothing for a fence that is not the pin's, older or never given", async () => {
        const first = await store.place(candidate("room-1"), null, 5);
        const second = await store.place(candidate("room-1", { instance: "chat-v1-2" }), first.fence, 6);
        const late = candidate("room-1", { instance: "chat-v1-3" });
        expect(await store.place(late, first.fence, 7)).toEqual(second);
        expect(await store.place(late, second.fence + 1000, 7)).toEqual(second);
        expect(await store.pins()).toEqual([second]);
        expect(await store.events(10)).toHaveLength(1);
      });

      it("makes the candidate the pin where the pin to replace has ended meanwhile, which is no placing anew", async () => {
        const first = await store.place(candidate("room-1"), null, 5);
        await store.end([ended(first, "lost")], 6);
        const second = await store.place(candidate("room-1", { instance: "chat-v1-2" }), first.fence, 7);
        expect(await store.pins()).toEqual([second]);
        expect((await store.events(10)).map((event) => event.kind)).toEqual(["ended"]);
      });

      it("keeps the label of a session, or that it has none, in its pin and in all that is told of it", async () => {
        for (const label of ["support", null]) {
          const name = `room-${label}`;
          const pin = await store.place(candidate(name, { label }), null, 5);
          const anew = await store.place(candidate(name, { label, instance: "chat-v1-2" }), pin.fence, 6);
          await store.disrupted([{ pin: anew, connections: 0 }], 7);
          await store.end([ended(anew, "lost")], 8);
          await store.place(candidate(name, { label }), null, 9);
        }
        const told = (await store.events(10)).map(
          (event) => (event.kind === "ended" ? event.session : event.pin).label,
        );
        expect(told).toEqual(["support", "support", "support", null, null, null]);
        store = await opened.reopen();
        const pins = (await store.pins()).map(({ key, label }) => [key, label]);
        expect(Object.fromEntries(pins)).toEqual({ "room-support": "support", "room-null": null });
      });

      it("keeps the same key of two services apart, and keys that differ in a sign only", async () => {
        const candidates = [
          "room",
          "Room",
          "room ",
          "räum",
          "ra\u0308um",
          "a:b",
          "a",
          "a/b",
          "房间",
          "🎲",
          "%00",
        ].flatMap((key) => ["chat", "chat-a"].map((service) => candidate(key, { service })));
        for (const each of candidates) await store.place(each, null, 5);
        const pins = await store.pins();
        expect(new Set(pins.map(({ service, key }) => `${service} has ${key}`))).toEqual(
          new Set(candidates.map(({ service, key }) => `${service} has ${key}`)),
        );
        for (const each of candidates) {
          const known = await store.place(candidate(each.key, { service: each.service, release: "v9" }), null, 6);
          expect(known).toMatchObject(each);
        }
      });

      it("gives one pin to all who place one key at once", async () => {
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            routers(index).place(candidate("room-1", { instance: `chat-v1-${index}` }), null, index),
          ),
        );
        const [pin] = await store.pins();
        expect(answers).toEqual(answers.map(() => pin));
      });

      it("lets one win of all who replace one pin at once", async () => {
        const first = await store.place(candidate("room-1"), null, 5);
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            routers(index).place(candidate("room-1", { instance: `chat-v1-${index}` }), first.fence, index),
          ),
        );
        const [pin] = await store.pins();
        expect(answers).toEqual(answers.map(() => pin));
        expect(await store.events(50)).toHaveLength(1);
      });

      it("gives a fence above any that it ever gave, ended sessions and starts in between included", async () => {
        let highest = 0;
        for (let round = 0; round < 3; round += 1) {
          for (const service of ["chat", "game"]) {
            const pin = await store.place(candidate("room-1", { service }), null, round);
            expect(pin.fence).toBeGreaterThan(highest);
            highest = pin.fence;
          }
          for (const pin of await store.pins()) await store.end([ended(pin, "hangup")], round);
          await store.forgetEvents(Number.MAX_SAFE_INTEGER);
          store = await opened.reopen();
        }
      });

      it("has stored the pin when it resolves", async () => {
        const pin = await store.place(candidate("room-1"), null, 5);
        const anew = await store.place(candidate("room-2", { instance: "chat-v1-1" }), null, 5);
        const moved = await store.place(candidate("room-2", { instance: "chat-v1-2" }), anew.fence, 6);
        store = await opened.reopen();
        expect(byKey(await store.pins())).toEqual([pin, moved]);
        expect(await store.place(candidate("room-1", { release: "v2" }), null, 7)).toEqual(pin);
      });

      it("throws STORE_FAILED when it cannot be written, and nothing has changed", async () => {
        const first = await store.place(candidate("room-1"), null, 5);
        await opened.refuseWrites(true);
        await expect(store.place(candidate("room-2"), null, 6)).rejects.toEqual(failure);
        await expect(store.place(candidate("room-1", { instance: "chat-v1-2" }), first.fence, 6)).rejects.toEqual(
          failure,
        );
        await opened.refuseWrites(false);
        expect(await store.pins()).toEqual([first]);
        expect(await store.events(10)).toEqual([]);
        const second = await store.place(candidate("room-2"), null, 7);
        expect(second.fence).toBeGreaterThan(first.fence);
      });
    });

    describe("end", () => {
      it("removes the pins, stores the ends, and returns those that were ended", async () => {
        const stays = await store.place(candidate("stays"), null, 1);
        const sessions = [
          ended(await store.place(candidate("room-1"), null, 1), "hangup", { endedAtMs: 7, connectionsClosed: 0 }),
          ended(await store.place(candidate("room-2"), null, 1), "cut", { endedAtMs: 8, connectionsClosed: 3 }),
        ];
        expect(await store.end(sessions, 9)).toEqual(sessions);
        expect(await store.pins()).toEqual([stays]);
        expect(withoutNumbers(await store.events(10))).toEqual(
          sessions.map((session) => ({ kind: "ended", atMs: 9, session })),
        );
      });

      it("passes over a session that was placed anew since, and MUST NOT touch the newer placement", async () => {
        const first = await store.place(candidate("room-1"), null, 1);
        const second = await store.place(candidate("room-1", { instance: "chat-v1-2" }), first.fence, 2);
        const other = await store.place(candidate("room-2"), null, 2);
        expect(await store.end([ended(first, "lost"), ended(other, "moved")], 3)).toEqual([ended(other, "moved")]);
        expect(await store.pins()).toEqual([second]);
        expect((await store.events(10)).map((event) => event.kind)).toEqual(["placed-anew", "ended"]);
      });

      it("ends a session once, however often it is told to", async () => {
        const pin = await store.place(candidate("room-1"), null, 1);
        expect(await store.end([ended(pin, "cut"), ended(pin, "moved")], 2)).toEqual([ended(pin, "cut")]);
        expect(await store.end([ended(pin, "cut")], 3)).toEqual([]);
        expect(await store.events(10)).toHaveLength(1);
      });

      it("passes over sessions that it does not know", async () => {
        const never = { ...candidate("room-1"), fence: 1 };
        expect(await store.end([ended(never, "hangup")], 2)).toEqual([]);
        expect(await store.end([], 2)).toEqual([]);
        expect(await store.events(10)).toEqual([]);
      });

      it("stores pins and ends in one step: when it cannot be written, all pins stay and no end is told", async () => {
        const pins = [await store.place(candidate("a"), null, 1), await store.place(candidate("b"), null, 1)];
        await opened.refuseWrites(true);
        await expect(
          store.end(
            pins.map((pin) => ended(pin, "cut")),
            2,
          ),
        ).rejects.toEqual(failure);
        await opened.refuseWrites(false);
        expect(byKey(await store.pins())).toEqual(pins);
        expect(await store.events(10)).toEqual([]);
      });

      it("has stored it when it resolves", async () => {
        const session = ended(await store.place(candidate("room-1"), null, 1), "expired");
        await store.end([session], 2);
        store = await opened.reopen();
        expect(await store.pins()).toEqual([]);
        expect(withoutNumbers(await store.events(10))).toEqual([{ kind: "ended", atMs: 2, session }]);
      });
    });

    describe("disrupted", () => {
      it("stores that sessions lost their instance, and their pins stay", async () => {
        const pins = [await store.place(candidate("a"), null, 1), await store.place(candidate("b"), null, 1)];
        const lost = pins.map((pin, connections) => ({ pin, connections }));
        await store.disrupted(lost, 2);
        await store.disrupted([], 3);
        expect(byKey(await store.pins())).toEqual(pins);
        expect(withoutNumbers(await store.events(10))).toEqual(
          lost.map(({ pin, connections }) => ({ kind: "disrupted", atMs: 2, pin, connections })),
        );
      });

      it("throws STORE_FAILED when it cannot be written, and none of it is stored", async () => {
        const pin = await store.place(candidate("a"), null, 1);
        await opened.refuseWrites(true);
        await expect(store.disrupted([{ pin, connections: 1 }], 2)).rejects.toEqual(failure);
        await opened.refuseWrites(false);
        expect(await store.events(10)).toEqual([]);
      });
    });

    describe("events", () => {
      it("come in the order in which they happened, with growing numbers, at most so many as asked for", async () => {
        const first = await store.place(candidate("a"), null, 1);
        await store.disrupted([{ pin: first, connections: 2 }], 2);
        const second = await store.place(candidate("a", { instance: "chat-v1-2" }), first.fence, 3);
        await store.end([ended(second, "hangup")], 4);
        const events = await store.events(10);
        expect(events.map((event) => event.kind)).toEqual(["disrupted", "placed-anew", "ended"]);
        expect(events.map((event) => event.atMs)).toEqual([2, 3, 4]);
        expect(isGrowing(events.map((event) => event.seq))).toBe(true);
        expect(await store.events(2)).toEqual(events.slice(0, 2));
        expect(await store.events(0)).toEqual([]);
      });

      it("are kept, over a start too, until they are forgotten", async () => {
        await disrupt(store, 3);
        const before = await store.events(10);
        store = await opened.reopen();
        expect(await store.events(10)).toEqual(before);
      });

      it("that come after a forgotten number MUST NOT be dropped", async () => {
        await disrupt(store, 4);
        const [, second, ...later] = await store.events(10);
        await store.forgetEvents(second?.seq ?? 0);
        expect(await store.events(10)).toEqual(later);
        await store.forgetEvents(0);
        expect(await store.events(10)).toEqual(later);
        store = await opened.reopen();
        expect(await store.events(10)).toEqual(later);
      });

      it("that happen after all were forgotten are there, even if a higher number was named", async () => {
        await disrupt(store, 2);
        await store.forgetEvents(1_000_000);
        expect(await store.events(10)).toEqual([]);
        await disrupt(store, 1);
        expect(await store.events(10)).toHaveLength(1);
      });

      it("never get a number a second time, forgotten ones and starts in between included", async () => {
        let highest = 0;
        for (let round = 0; round < 3; round += 1) {
          await disrupt(store, 2);
          const numbers = (await store.events(10)).map((event) => event.seq);
          expect(isGrowing([highest, ...numbers])).toBe(true);
          highest = numbers.at(-1) ?? 0;
          await store.forgetEvents(highest);
          store = await opened.reopen();
        }
      });

      it("stay when forgetting them cannot be written", async () => {
        await disrupt(store, 2);
        const events = await store.events(10);
        await opened.refuseWrites(true);
        await expect(store.forgetEvents(events.at(-1)?.seq ?? 0)).rejects.toEqual(failure);
        await opened.refuseWrites(false);
        expect(await store.events(10)).toEqual(events);
      });
    });

    it("does what the contract says after any sequence of placements, replacements and ends", async () => {
      const fences = { highest: 0 };
      let runs = 0;
      await assert(
        asyncProperty(pinSteps, async (steps) => {
          // Every run has a service of its own in the one store.
          runs += 1;
          const model = pinModel(store, `run-${runs}`, fences);
          for (const [atMs, step] of steps.entries()) await model.take(step, atMs);
          await model.compare();
        }),
      );
    });
  });
}

function candidate(key: string, differs: Partial<PinCandidate> = {}): PinCandidate {
  const place = { release: "v1", instance: "chat-v1-1" };
  return { service: "chat", key, ...place, openedAtMs: 1_700_000_000_123, label: "support", ...differs };
}

function ended(pin: Pin, reason: EndReason, differs: Partial<EndedSession> = {}): EndedSession {
  return { ...pin, reason, endedAtMs: 1_700_000_060_456, connectionsClosed: 1, ...differs };
}

async function disrupt(store: PinStore, times: number): Promise<void> {
  const pin = await store.place(candidate("disrupted"), null, 1);
  for (let time = 0; time < times; time += 1) await store.disrupted([{ pin, connections: time }], time);
}

function isGrowing(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? Number.NaN));
}

import type { EndedSession, Pin, PinCandidate, PinStore, SessionEvent } from "@holdover/core";
import { array, constantFrom, nat, oneof, record } from "fast-check";
import { expect } from "vitest";

/** One thing that a router does, and the fence that it believes in: the pin's own, none, or one that was given once. */
interface PinStep {
  readonly what: "place" | "end";
  readonly key: string;
  readonly instance: string;
  readonly label: string | null;
  readonly belief: "own" | "none" | number;
}

export const pinSteps = array(
  record<PinStep>({
    what: constantFrom("place", "place", "end"),
    key: constantFrom("a", "b", "c"),
    instance: constantFrom("chat-v1-1", "chat-v1-2", "chat-v2-1"),
    label: constantFrom(null, "support", "advisory"),
    belief: oneof(constantFrom<"own" | "none">("own", "none"), nat(50)),
  }),
  { maxLength: 40 },
);

/** The contract of a PinStore in its simplest form, beside the store: every answer of the store is held against it. */
export function pinModel(store: PinStore, service: string, fences: { highest: number }) {
  const pins = new Map<string, Pin>();
  const told: object[] = [];
  const given: number[] = [];

  function believed({ belief, key }: PinStep): number | null {
    if (belief === "own") return pins.get(key)?.fence ?? null;
    return (belief === "none" ? undefined : given[belief % given.length]) ?? null;
  }

  async function place(step: PinStep, atMs: number): Promise<void> {
    const { key, instance } = step;
    const before = pins.get(key);
    const replaces = believed(step);
    const candidate: PinCandidate = { service, key, release: "v1", instance, openedAtMs: atMs, label: step.label };
    const pin = await store.place(candidate, replaces, atMs);
    const taken = before === undefined || before.fence === replaces;
    expect(pin).toEqual(taken ? { ...candidate, fence: pin.fence } : before);
    expect(pin.fence > fences.highest, "a fence above all before it exactly where the candidate was taken").toBe(taken);
    pins.set(key, pin);
    if (!taken) return;
    fences.highest = pin.fence;
    given.push(pin.fence);
    if (before) told.push({ kind: "placed-anew", atMs, pin, from: before.instance });
  }

  async function end(step: PinStep, atMs: number): Promise<void> {
    const { key, instance, label } = step;
    const fence = believed(step) ?? 0;
    const hits = pins.get(key)?.fence === fence;
    const pin: Pin = { service, key, release: "v1", instance, fence, openedAtMs: 0, label };
    const session: EndedSession = { ...pin, reason: "hangup", endedAtMs: atMs, connectionsClosed: 0 };
    expect(await store.end([session], atMs)).toEqual(hits ? [session] : []);
    if (!hits) return;
    pins.delete(key);
    told.push({ kind: "ended", atMs, session });
  }

  return {
    take: (step: PinStep, atMs: number): Promise<void> => (step.what === "place" ? place(step, atMs) : end(step, atMs)),
    /** Holds all that is stored against the model, and forgets the events. */
    compare: async (): Promise<void> => {
      const stored = (await store.pins()).filter((pin) => pin.service === service);
      expect(byKey(stored)).toEqual(byKey([...pins.values()]));
      const events = await store.events(1000);
      expect(withoutNumbers(events)).toEqual(told);
      await store.forgetEvents(events.at(-1)?.seq ?? 0);
    },
  };
}

export function withoutNumbers(events: readonly SessionEvent[]): object[] {
  return events.map((event) => Object.fromEntries(Object.entries(event).filter(([field]) => field !== "seq")));
}

export function byKey(pins: readonly Pin[]): Pin[] {
  return pins.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

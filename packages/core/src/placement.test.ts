import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { routedInstance, routedRelease, routedService } from "../test/sample-service.ts";
import { place } from "./placement.ts";
import type { RoutedService } from "./routing-table.ts";

const nobody = () => 0;
const KEYS = Array.from({ length: 20_000 }, (_, index) => `room-${index}`);

/** A table as a control plane could send it, and worse: any admission with any percent, ending and instances. */
const anyService: fc.Arbitrary<RoutedService> = fc
  .array(
    fc.record({
      admission: fc.constantFrom("new" as const, "existing" as const, "none" as const),
      percent: fc.constantFrom(0, 1, 50, 99, 100),
      ending: fc.constantFrom(null, null, "moved" as const, "cut" as const),
      capacities: fc.array(fc.option(fc.integer({ min: 1, max: 3 })), { maxLength: 3 }),
    }),
    { maxLength: 5 },
  )
  .map((releases) =>
    routedService(
      releases.map(({ capacities, ...rest }, index) =>
        routedRelease(`v${index}`, {
          ...rest,
          instances: capacities.map((capacity, ordinal) => routedInstance(`v${index}-${ordinal}`, capacity)),
        }),
      ),
    ),
  );
const loads = fc.array(fc.nat(4), { minLength: 16, maxLength: 16 });
const loadOf = (loads: readonly number[]) => (instance: string) =>
  loads[(Number(instance[1]) * 3 + Number(instance.at(-1))) % 16] ?? 0;

describe("rule 2: no new session is placed where the table does not let new ones in", () => {
  test("a new session is placed on a release that admits new ones, or nowhere", () => {
    fc.assert(
      fc.property(anyService, loads, fc.string(), (service, loads, key) => {
        const choice = place(service, key, loadOf(loads));
        const release = service.releases.find(({ id }) => id === choice?.release);
        expect(choice === undefined || release?.admission === "new").toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("a session that lost its instance goes back to its release where that admits its own and is not ending", () => {
    fc.assert(
      fc.property(anyService, loads, fc.string(), fc.nat(5), (service, loads, key, pick) => {
        const choice = place(service, key, loadOf(loads), `v${pick}`);
        const release = service.releases.find(({ id }) => id === choice?.release);
        const mayReturn = release?.id === `v${pick}` && release.admission === "existing" && release.ending === null;
        expect(choice === undefined || release?.admission === "new" || mayReturn).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("nothing is placed on an instance that is full or not listed, and of the others on the least loaded", () => {
    fc.assert(
      fc.property(anyService, loads, fc.string(), (service, loads, key) => {
        const sessionsOn = loadOf(loads);
        const choice = place(service, key, sessionsOn);
        if (!choice) return;
        const instances = service.releases.find(({ id }) => id === choice.release)?.instances ?? [];
        const free = instances.filter(({ id, capacity }) => capacity === null || sessionsOn(id) < capacity);
        expect(free).toContain(choice.instance);
        expect(sessionsOn(choice.instance.id)).toBe(Math.min(...free.map(({ id }) => sessionsOn(id))));
      }),
      { numRuns: 500 },
    );
  });
});

describe("a session whose instance died", () => {
  const retained = routedRelease("v1", { admission: "existing", percent: 0 });
  const current = routedRelease("v2");

  test("stays on its release, retained or not, where another instance of it has room", () => {
    expect(place(routedService([retained, current]), "a", nobody, "v1")?.release).toBe("v1");
    expect(place(routedService([retained, current]), "a", nobody, "v2")?.release).toBe("v2");
  });

  test("stays on a ramping release although its key is not in that release's share", () => {
    const ramping = routedRelease("v3", { percent: 0 });
    expect(place(routedService([ramping, current]), "a", nobody, "v3")?.release).toBe("v3");
    expect(place(routedService([ramping, current]), "a", nobody)?.release).toBe("v2");
  });

  test.each([
    ["is ending", { ending: "moved" as const }],
    ["is being cut", { ending: "cut" as const }],
    ["admits nobody", { admission: "none" as const }],
    ["has no instance", { instances: [] }],
    ["is full", { instances: [routedInstance("rooms-v1-2", 1)] }],
  ])("goes to the current release where its own %s", (_, change) => {
    const service = routedService([{ ...retained, ...change }, current]);
    expect(place(service, "a", (id) => (id === "rooms-v1-2" ? 1 : 0), "v1")?.release).toBe("v2");
  });

  test("goes to the current release where its own is no longer in the table", () => {
    expect(place(routedService([current]), "a", nobody, "v0")?.release).toBe("v2");
  });
});

describe("the least loaded instance with room", () => {
  const service = routedService([
    routedRelease("v1", { instances: [routedInstance("a", 2), routedInstance("b"), routedInstance("c", 5)] }),
  ]);
  test.each([
    [{ a: 0, b: 0, c: 0 }, "a"],
    [{ a: 1, b: 0, c: 0 }, "b"],
    [{ a: 2, b: 9, c: 4 }, "c"],
    [{ a: 2, b: 9, c: 5 }, "b"],
  ])("of %j is %s", (on, expected) => {
    expect(place(service, "k", (id) => on[id as keyof typeof on])?.instance.id).toBe(expected);
  });

  test("is none where all are full", () => {
    const full = routedService([routedRelease("v1", { instances: [routedInstance("a", 2)] })]);
    expect(place(full, "k", () => 2)).toBeUndefined();
    expect(place(routedService([]), "k", nobody)).toBeUndefined();
  });

  test("a ramping release without room leaves its share to the current one", () => {
    const service = routedService([
      routedRelease("v2", { percent: 100, instances: [routedInstance("full", 1)] }),
      routedRelease("v1"),
    ]);
    expect(place(service, "k", () => 1)?.release).toBe("v1");
  });
});

describe("a ramp draws a stable share of the keys", () => {
  const taken = (id: string, percent: number, keys = KEYS) =>
    new Set(
      keys.filter(
        (key) =>
          place(routedService([routedRelease(id, { percent }), routedRelease("now")]), key, nobody)?.release === id,
      ),
    );

  test("a larger percentage keeps every key that a smaller one had", () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 8 }), percent, percent, (id, one, other) => {
        const keys = KEYS.slice(0, 300);
        const [less, more] = [taken(id, Math.min(one, other), keys), taken(id, Math.max(one, other), keys)];
        expect([...less].filter((key) => !more.has(key))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test.each([1, 5, 10, 25, 50, 75, 99])(
    "%d percent takes that share of 20,000 keys, within five standard deviations",
    (percent) => {
      const share = percent / 100;
      const deviation = Math.sqrt(KEYS.length * share * (1 - share));
      for (const id of ["v2", "1.4.0", "9fceb02"]) {
        expect(Math.abs(taken(id, percent).size - KEYS.length * share)).toBeLessThan(5 * deviation);
      }
    },
  );

  test("0% takes none and 100% takes all", () => {
    expect(taken("v2", 0).size).toBe(0);
    expect(taken("v2", 100).size).toBe(KEYS.length);
  });

  test("two releases draw different keys: neither share says anything of the other", () => {
    const [one, other] = [taken("v2", 50), taken("v3", 50)];
    const both = [...one].filter((key) => other.has(key)).length;
    expect(Math.abs(both - KEYS.length / 4)).toBeLessThan(5 * Math.sqrt(KEYS.length * 0.25 * 0.75));
  });

  test("of two ramping releases the second takes its share of what the first leaves", () => {
    const service = routedService([
      routedRelease("a", { percent: 50 }),
      routedRelease("b", { percent: 50 }),
      routedRelease("now"),
    ]);
    const counts = { a: 0, b: 0, now: 0 };
    for (const key of KEYS) counts[place(service, key, nobody)?.release as keyof typeof counts] += 1;
    expect(counts.a + counts.b + counts.now).toBe(KEYS.length);
    expect(Math.abs(counts.b - KEYS.length / 4)).toBeLessThan(5 * Math.sqrt(KEYS.length * 0.25 * 0.75));
  });
});

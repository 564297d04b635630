import type { RetentionPolicy } from "@holdover/core";
import { drawsOf } from "../draws.ts";
import type { LinkFault } from "./link.ts";
import type { Build } from "./processes.ts";

/** How long faults go on, ms; after that all is left to come to rest. */
export const FAULTS_MS = 15_000;

/** What a service is declared with. Durations as holdover.yaml has them. */
export interface Declared {
  readonly instances: number;
  readonly capacity: number | null;
  readonly lingerMs: number;
  readonly retention: { readonly policy: RetentionPolicy["policy"] } & Readonly<
    Record<string, string | number | boolean>
  >;
  readonly disconnects: { readonly atOnce: number; readonly periodMs: number };
  readonly gate: boolean;
  /** Null: connections may be as old as they like. */
  readonly maxConnectionAge: { readonly maxMs: number; readonly graceMs: number } | null;
}

interface Skew {
  readonly offsetMs: number;
  readonly ppm: number;
}

/** One thing that happens at a moment. Whom it meets is told by a number, taken from what there is then. */
export type Step = { readonly atMs: number } & (
  | {
      readonly do: "client";
      readonly service: number;
      /** Null: a session that is its connection. */
      readonly key: string | null;
      readonly staysMs: number;
      /** Once told to end it stays so much longer. */
      readonly stubbornMs: number;
      /** Comes back when its connection ends before its time. */
      readonly returns: boolean;
      /** Sends nothing at all. */
      readonly quiet: boolean;
    }
  | {
      readonly do: "deploy";
      readonly service: number;
      /** Again one that is over, of those that there are; null: a new one. */
      readonly again: number | null;
      readonly then: "promote" | "wait" | number;
      readonly build: Build;
      readonly declared: Declared;
    }
  | { readonly do: "promote"; readonly service: number; readonly which: number }
  | { readonly do: "ramp"; readonly service: number; readonly which: number; readonly percent: number }
  | { readonly do: "rollback"; readonly service: number; readonly which: number | null; readonly cut: boolean }
  | { readonly do: "retire"; readonly service: number; readonly which: number; readonly now: boolean }
  | {
      readonly do: "restart";
      readonly service: number;
      readonly batch: number;
      readonly waitMs: number;
      readonly graceMs: number;
    }
  | { readonly do: "move"; readonly service: number; readonly key: string }
  | { readonly do: "prepare"; readonly service: number; readonly inMs: number | null }
  | { readonly do: "crash"; readonly who: "host" | "control"; readonly downMs: number }
  | { readonly do: "kill"; readonly which: number }
  | { readonly do: "link"; readonly fault: LinkFault; readonly forMs: number }
  | {
      readonly do: "disk";
      readonly of: "host" | "control";
      readonly fault: "refuse" | "slow";
      readonly forMs: number;
    }
  | { readonly do: "clock"; readonly of: "host" | "control"; readonly byMs: number }
);

/** All that a run follows from. */
export interface Schedule {
  /** Of what is not written out: how long messages, stores and processes take. */
  readonly seed: number;
  readonly services: readonly Declared[];
  readonly clocks: { readonly host: Skew; readonly control: Skew };
  /** In the order in which they happen. */
  readonly steps: readonly Step[];
}

/** The schedule of a seed. */
export function scheduleOf(seed: number): Schedule {
  const draw = drawsOf(seed);
  const upTo = (most: number): number => Math.floor(draw() * (most + 1));
  const oneOf = <T>(...of: readonly T[]): T => of[upTo(of.length - 1)] as T;
  const chance = (share: number): boolean => draw() < share;

  const policy = (): Declared["retention"] => {
    const floor = `${oneOf(0, 300, 1500)}ms`;
    const grace = `${oneOf(0, 400, 1500)}ms`;
    const wedged = chance(0.15) ? { wedgedAfter: "1500ms", cutWedged: true } : {};
    const common = { floor, grace, ...wedged, ...(chance(0.2) ? { maxRetained: oneOf(1, 2) } : {}) };
    if (chance(0.45)) return { policy: "fixed", window: `${oneOf(0, 500, 2000, 5000)}ms`, ...common };
    if (chance(0.5)) return { policy: "until-empty", ...common };
    return { policy: "budget", ceiling: `${oneOf(2000, 5000)}ms`, ...common };
  };
  const disconnects = { atOnce: oneOf(0.05, 0.25, 0.5, 1), periodMs: oneOf(150, 500, 1000) };
  const declared = (): Declared => ({
    instances: oneOf(1, 1, 2, 3),
    capacity: chance(0.2) ? oneOf(2, 4) : null,
    lingerMs: oneOf(0, 200, 1000, 2500),
    retention: policy(),
    disconnects,
    gate: chance(0.2),
    maxConnectionAge: chance(0.15) ? { maxMs: oneOf(1500, 4000), graceMs: oneOf(0, 1000) } : null,
  });
  const skew = (): Skew => ({
    offsetMs: chance(0.5) ? 0 : upTo(6000) - 3000,
    ppm: oneOf(0, 0, 200, -200),
  });
  const build = (): Build => ({
    kind: chance(0.75) ? "sound" : oneOf("broken", "mute", "refused"),
    startMs: oneOf(20, 100, 400),
    exitMs: oneOf(5, 50, 400, 1500),
  });

  const services = Array.from({ length: chance(0.2) ? 2 : 1 }, declared);
  const service = (): number => upTo(services.length - 1);
  const keys = oneOf(2, 5, 12);
  const client = (): Omit<Extract<Step, { do: "client" }>, "atMs"> => ({
    do: "client",
    service: service(),
    key: chance(0.15) ? null : `k${upTo(keys - 1)}`,
    staysMs: chance(0.3) ? 1 + upTo(40) : 200 + upTo(chance(0.3) ? 14_000 : 3000),
    stubbornMs: chance(0.15) ? upTo(4000) : 0,
    returns: chance(0.8),
    quiet: chance(0.15),
  });
  const kinds: readonly (readonly [weight: number, make: () => Omit<Step, "atMs">])[] = [
    [24, client],
    [
      5,
      () => ({
        do: "deploy",
        service: service(),
        again: chance(0.15) ? upTo(9) : null,
        then: chance(0.7) ? "promote" : chance(0.5) ? "wait" : oneOf(10, 50, 100),
        build: build(),
        declared: declared(),
      }),
    ],
    [1.5, () => ({ do: "promote", service: service(), which: upTo(9) })],
    [1.5, () => ({ do: "ramp", service: service(), which: upTo(9), percent: oneOf(5, 50, 100) })],
    [2, () => ({ do: "rollback", service: service(), which: chance(0.5) ? null : upTo(9), cut: chance(0.3) })],
    [1, () => ({ do: "retire", service: service(), which: upTo(9), now: chance(0.5) })],
    [
      1.2,
      () => ({
        do: "restart",
        service: service(),
        batch: oneOf(1, 1, 2),
        waitMs: oneOf(0, 500, 2500),
        graceMs: oneOf(0, 600, 4000),
      }),
    ],
    [1.5, () => ({ do: "move", service: service(), key: `k${upTo(keys - 1)}` })],
    [0.8, () => ({ do: "prepare", service: service(), inMs: chance(0.3) ? null : oneOf(1000, 4000) })],
    [2.5, () => ({ do: "crash", who: oneOf("host", "control", "control"), downMs: oneOf(0, 100, 600, 2500) })],
    [2.5, () => ({ do: "kill", which: upTo(9) })],
    [
      2.5,
      () => ({
        do: "link",
        fault: oneOf<LinkFault>("lose-calls", "lose-answers", "double", "slow", "break"),
        forMs: oneOf(50, 500, 2000),
      }),
    ],
    [
      1,
      () => ({
        do: "disk",
        of: oneOf("host", "control"),
        fault: oneOf("refuse", "slow"),
        forMs: oneOf(50, 400, 1500),
      }),
    ],
    [1, () => ({ do: "clock", of: oneOf("host", "control"), byMs: oneOf(-4000, -500, 500, 4000) })],
  ] as readonly (readonly [number, () => Omit<Step, "atMs">])[];
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  const make = (): Omit<Step, "atMs"> => {
    let left = draw() * total;
    for (const [weight, one] of kinds) if ((left -= weight) < 0) return one();
    return client();
  };
  const count = 20 + upTo(60);
  // Things that cross are where it breaks: some happen within a few ms of another.
  let lastMs = 0;
  const atMs = (): number => (lastMs = chance(0.4) ? Math.min(FAULTS_MS, lastMs + upTo(60)) : upTo(FAULTS_MS));
  const steps = Array.from({ length: count }, () => ({ atMs: atMs(), ...make() }) as Step);
  return {
    seed,
    services,
    clocks: { host: skew(), control: skew() },
    steps: steps.toSorted((a, b) => a.atMs - b.atMs),
  };
}

const DO: Readonly<Record<Step["do"], true>> = {
  client: true,
  deploy: true,
  promote: true,
  ramp: true,
  rollback: true,
  retire: true,
  restart: true,
  move: true,
  prepare: true,
  crash: true,
  kill: true,
  link: true,
  disk: true,
  clock: true,
};

/**
 * Reads a schedule back that was printed.
 * @throws Error which says what is wrong with it
 */
export function readSchedule(text: string): Schedule {
  const read = JSON.parse(text) as Partial<Schedule> | null;
  if (typeof read?.seed !== "number" || !read.clocks?.host || !read.clocks.control) {
    throw new Error("this is no schedule: it has a seed, services, clocks and steps");
  }
  const { services, steps } = read;
  if (!Array.isArray(services) || services.length === 0) throw new Error("a schedule has one service at least");
  if (!Array.isArray(steps)) throw new Error("a schedule has a list of steps");
  for (const [index, step] of steps.entries()) {
    const known = typeof step === "object" && Object.hasOwn(DO, step.do) && step.atMs >= 0;
    if (!known) throw new Error(`step ${index + 1} is none that there is, or has no time`);
  }
  return read as Schedule;
}

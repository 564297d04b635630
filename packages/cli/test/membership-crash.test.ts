import type { KeyRing, MemberStore, Trust } from "@holdover/core";
import { describe, expect, test } from "vitest";
import { membershipWorld, shown, type MembershipWorld } from "./membership-world.ts";

const DAY_MS = 86_400_000;
const tableOf = (number: number) => ({ number, services: [] });

/** Kills control before or after one of its steps: nothing that it does from then on reaches the disk. */
interface Killer {
  /** Step 0 is before the first change, 1 after it, and so on. */
  arm(step: number): void;
  readonly killed: boolean;
  readonly keyRing: KeyRing;
  readonly members: MemberStore;
  readonly changed: () => Promise<void>;
}

async function killer(world: MembershipWorld): Promise<Killer> {
  const [ring, store] = [await world.keyRing(), world.store.members];
  let steps = 0;
  let at = Number.POSITIVE_INFINITY;
  let killed = false;
  const step = (): void => {
    if (steps === at) killed = true;
    steps += 1;
    if (killed) throw new Error("control was killed");
  };
  const deadly =
    <Words extends unknown[], Value>(work: (...words: Words) => Promise<Value>) =>
    async (...words: Words): Promise<Value> => {
      step();
      const value = await work(...words);
      step();
      return value;
    };
  return {
    arm(next) {
      steps = 0;
      at = next;
    },
    get killed() {
      return killed;
    },
    keyRing: { ...ring, create: deadly(() => ring.create()), remove: deadly((key: string) => ring.remove(key)) },
    members: { ...store, setKeys: deadly((...words: Parameters<MemberStore["setKeys"]>) => store.setKeys(...words)) },
    changed: deadly(async () => {}),
  };
}

/** What has to hold after every start, wherever the one before was killed. */
async function expectSound(world: MembershipWorld, follower: Trust): Promise<void> {
  const trust = world.authority.trust();
  // Exactly the files of the keys that sign.
  await expect.poll(() => world.keyFiles()).toEqual(trust.keys.toSorted());
  expect(world.authority.show().keys.map(({ publicKey }) => publicKey)).toEqual(trust.keys);
  expect(world.authority.show().keys.filter(({ untilMs }) => untilMs === null)).toHaveLength(1);
  // Whoever followed the last table that was published follows the next one.
  expect(trust.epoch).toBeGreaterThanOrEqual(follower.epoch);
  expect(shown(world.authority.signTable(tableOf(8)), { trust: follower, number: 7 })).toBe(8);
  await world.store.audit.verify();
}

/** Does something with control killed at each of its steps in turn. @returns how many steps it had */
async function atEachStep(
  prepare: (world: MembershipWorld) => Promise<void>,
  act: (world: MembershipWorld, deadly: Killer) => Promise<void>,
  check: (world: MembershipWorld, before: Trust) => Promise<void>,
): Promise<number> {
  for (let step = 0; ; step += 1) {
    const world = await membershipWorld();
    try {
      await prepare(world);
      const before = world.authority.trust();
      await world.authority.close();
      const deadly = await killer(world);
      await world.open(deadly);
      deadly.arm(step);
      await act(world, deadly);
      if (!deadly.killed) return step;
      await world.restart();
      await expectSound(world, before);
      await check(world, before);
    } finally {
      await world.close();
    }
  }
}

describe("Control that is killed", () => {
  test("at any step of a rotation is as before it, or as after it, and rotates again", async () => {
    const epochs = new Set<number>();
    const steps = await atEachStep(
      async () => {},
      async (world, deadly) => {
        const rotated = world.authority.rotate("operator", "x").then(
          () => false,
          () => true,
        );
        expect(await rotated).toBe(deadly.killed);
      },
      async (world, before) => {
        const { epoch, keys } = world.authority.trust();
        expect(keys).toHaveLength(1 + epoch - before.epoch);
        expect(keys.at(-1)).toBe(before.keys[0]);
        expect(await world.entries("key.rotated")).toHaveLength(epoch - before.epoch);
        epochs.add(epoch - before.epoch);
        await world.authority.rotate("operator", "again");
        await expectSound(world, before);
      },
    );
    // A key is made, stored, and told; each killed before and after.
    expect([steps, [...epochs].toSorted((a, b) => a - b)]).toEqual([6, [0, 1]]);
  });

  test("at any step of the end of a rotation goes on with it: the old key is retired once, and its file is gone", async () => {
    const steps = await atEachStep(
      async (world) => {
        await world.authority.rotate("operator", "x");
      },
      async (world, deadly) => {
        await world.clock.advance(DAY_MS);
        await expect.poll(() => deadly.killed || world.keyFiles().length === 1).toBe(true);
        // What goes on after the last step is over when the queue is.
        await world.authority.close();
      },
      async (world, before) => {
        const { epoch, keys } = world.authority.trust();
        expect([epoch, keys]).toEqual([before.epoch + 1, [before.keys[0]]]);
        expect(await world.entries("key.retired")).toHaveLength(1);
      },
    );
    expect(steps).toBe(6);
  });

  test("at any step of a start without its keys has one key at the next", async () => {
    let step = 0;
    for (let begun = false; !begun; step += 1) {
      const world = await membershipWorld();
      try {
        await world.authority.close();
        const ring = await world.keyRing();
        for (const key of await ring.list()) await ring.remove(key);
        const deadly = await killer(world);
        deadly.arm(step);
        begun = await world.open(deadly).then(
          () => true,
          () => false,
        );
        expect(begun).toBe(!deadly.killed);
        await world.restart();
        expect(world.authority.trust().keys).toHaveLength(1);
        expect(world.keyFiles()).toEqual(world.authority.trust().keys);
      } finally {
        await world.close();
      }
    }
    expect(step).toBe(5);
  });
});

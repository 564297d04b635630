import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PinWorld } from "../test/pin-world.ts";
import { ramping, retained } from "./release.ts";

const step = <T>(name: string, given: fc.Arbitrary<T>, run: (world: PinWorld, given: T) => void) =>
  given.map((value) => ({ name, given: value, run: (world: PinWorld) => run(world, value) }));
const pick = fc.nat(7);
const steps = fc.oneof(
  { weight: 12, arbitrary: step("connect", fc.nat(9), (world, key) => world.connect(`room-${key}`)) },
  { weight: 6, arbitrary: step("disconnect", fc.nat(), (world, which) => world.disconnect(which)) },
  { weight: 3, arbitrary: step("wait", fc.nat(40), (world, ms) => world.wait(ms)) },
  {
    weight: 2,
    arbitrary: step(
      "deploy",
      fc.tuple(fc.nat(2), fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined })),
      (world, [count, capacity]) => world.deploy(count, capacity),
    ),
  },
  { weight: 2, arbitrary: step("start", pick, (world, which) => world.start(which)) },
  { weight: 3, arbitrary: step("lose", pick, (world, which) => world.lose(which)) },
  {
    weight: 3,
    arbitrary: step("ramp", fc.tuple(pick, fc.integer({ min: 1, max: 100 })), (world, [which, percent]) =>
      world.change(which, ramping(0, percent)),
    ),
  },
  { weight: 1, arbitrary: step("abandon", pick, (world, which) => world.change(which, retained(0, null))) },
  { weight: 3, arbitrary: step("promote", pick, (world, which) => world.promote(which)) },
  { weight: 2, arbitrary: step("rollback", fc.constant(null), (world) => world.rollback()) },
  { weight: 2, arbitrary: step("expire", fc.tuple(pick, fc.nat(60)), (world, [which, ms]) => world.expire(which, ms)) },
  { weight: 1, arbitrary: step("retire", pick, (world, which) => world.retire(which)) },
  { weight: 2, arbitrary: step("end some", fc.nat(3), (world, most) => world.endSome(most)) },
);

test("rules 1 and 5: a pin changes only after its instance died or its session ended, whatever the table does, and a key never has two places", () => {
  let pinned = 0;
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 80, size: "max" }), (steps) => {
      const world = new PinWorld();
      world.deploy(2, undefined);
      world.promote(0);
      for (const { run } of steps) {
        run(world);
        world.check();
        pinned += world.pins.size;
      }
    }),
    { numRuns: 250 },
  );
  // Without it the test could pass by pinning nothing.
  expect(pinned).toBeGreaterThan(1000);
});

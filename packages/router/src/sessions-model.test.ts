import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FIRST_TABLE, step, World } from "../test/sessions-model.ts";

test("whatever comes in whatever order, a session has one pin, is placed where it may be, and is left alone", async () => {
  const seen = { placed: 0, anew: 0, shared: 0, aged: 0, kept: 0, moved: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 20, maxLength: 60, size: "max" }),
      async (scheduler, steps) => {
        const world = new World(scheduler);
        await world.start();
        world.table(FIRST_TABLE);
        for (const one of steps) await world.take(one);
        await world.finish();
        for (const kind of Object.keys(seen) as (keyof typeof seen)[]) seen[kind] += world.seen[kind];
      },
    ),
    { numRuns: 400 },
  );
  // Without it the test could pass by placing nobody.
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
});

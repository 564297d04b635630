import { expect, test } from "vitest";
import { scheduleOf, type Declared, type Schedule, type Step } from "./schedule.ts";
import { World } from "./world.ts";

/**
 * A schedule of words and clients alone, in which nothing but a word ends a session by force: no faults, no window that
 * ends, nobody who comes after the first word. What was moved does not come back.
 */
function quiet(seed: number): Schedule {
  const { services, steps } = scheduleOf(seed);
  return {
    seed,
    services: services.map(patient),
    clocks: { host: { offsetMs: 0, ppm: 0 }, control: { offsetMs: 0, ppm: 0 } },
    steps: steps.flatMap(quietStep).toSorted((a, b) => a.atMs - b.atMs),
  };
}

const FIRST_WORD_MS = 3000;

function quietStep(step: Step): Step[] {
  const later = { atMs: FIRST_WORD_MS + step.atMs * 0.6 };
  switch (step.do) {
    case "client":
      return [{ ...step, atMs: step.atMs / 5, staysMs: 4 * step.staysMs, stubbornMs: 0, returns: false }];
    case "deploy":
      return [{ ...step, ...later, build: { ...step.build, kind: "sound" }, declared: patient(step.declared) }];
    case "promote":
    case "ramp":
    case "rollback":
    case "retire":
    case "restart":
    case "move":
      return [{ ...step, ...later }];
    // More restarts than there are, with a grace in which hardly anything can be moved.
    case "prepare":
    case "kill":
      return [{ ...later, do: "restart", service: 0, batch: 1, waitMs: 0, graceMs: 600 }];
    default:
      return [];
  }
}

function patient(declared: Declared): Declared {
  const { grace = "400ms" } = declared.retention;
  return { ...declared, retention: { policy: "until-empty", floor: "60s", grace }, maxConnectionAge: null };
}

test("where every preview said that nobody is cut, nobody is; where sessions were cut, a preview had said so", async () => {
  const seen = { harmless: 0, harmlessMoves: 0, cuts: 0 };
  for (let seed = 1; seed <= 250; seed += 1) {
    const { broken, dangerous, moved, cut } = await new World(quiet(seed)).run();
    expect([seed, broken]).toEqual([seed, null]);
    expect([seed, dangerous === 0 ? cut : 0]).toEqual([seed, 0]);
    if (dangerous === 0) seen.harmless += 1;
    if (dangerous === 0) seen.harmlessMoves += moved;
    else seen.cuts += cut;
  }
  // What did not happen was not tested.
  for (const [name, count] of Object.entries(seen)) expect([name, count > 20]).toEqual([name, true]);
});

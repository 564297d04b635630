import type { Broken } from "./verdict.ts";
import type { Schedule, Step } from "./schedule.ts";

/** Runs of the shrinking at the most: a schedule of 80 steps needs some hundreds. */
const MOST_RUNS = 600;

/**
 * The schedule without the steps that the failure does not need: first halves, then smaller and smaller parts, are left
 * out for as long as the same rule is broken (delta debugging, Zeller and Hildebrandt 2002).
 *
 * @param failure what the schedule breaks
 */
export async function shrink(
  schedule: Schedule,
  failure: Broken,
  run: (schedule: Schedule) => Promise<Broken | null>,
): Promise<{ schedule: Schedule; failure: Broken }> {
  let least = { schedule, failure };
  let runs = 0;
  const holds = async (steps: readonly Step[]): Promise<boolean> => {
    if ((runs += 1) > MOST_RUNS) return false;
    const shorter = { ...schedule, steps };
    const broken = await run(shorter);
    if (broken?.rule !== failure.rule) return false;
    least = { schedule: shorter, failure: broken };
    return true;
  };
  // What comes after the failure is not needed.
  await holds(schedule.steps.filter(({ atMs }) => atMs <= failure.atMs));
  for (let parts = 2; ;) {
    const { steps } = least.schedule;
    const size = Math.max(1, Math.floor(steps.length / parts));
    let shorter = false;
    for (let from = 0; from < least.schedule.steps.length;) {
      const now = least.schedule.steps;
      const left = [...now.slice(0, from), ...now.slice(from + size)];
      if (left.length < now.length && (await holds(left))) shorter = true;
      else from += size;
    }
    if ((size === 1 && !shorter) || runs > MOST_RUNS) return least;
    // It may need no step at all.
    if (least.schedule.steps.length === 0) return least;
    parts = size === 1 ? least.schedule.steps.length : parts * 2;
  }
}

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import {
  readSchedule,
  RULES,
  scheduleOf,
  shrink,
  storyOf,
  World,
  type Broken,
  type Outcome,
  type Schedule,
} from "@holdover/simulator/faults";

const HELP = `Runs the router and the control plane under faults, in virtual time, and asserts the rules of DESIGN after every step.

npm run simulate:faults -- [options]

  --seeds N         run N seeds (200)
  --from N          the first of them (1)
  --seed N          run one seed alone, exactly as it ran before
  --schedule FILE   run a schedule that was printed (a file with its JSON line)
  --json            the last line is one object
  --help            this text

Ends with 1 if a rule was broken. The first failure of each rule is shrunk to the steps that it needs, and printed.`;

interface Failure {
  readonly seed: number;
  readonly rule: Broken["rule"];
  readonly seen: string;
  /** The shortest that breaks the same rule; null where another seed has shown it already. */
  readonly schedule: Schedule | null;
}

type Total = Record<Exclude<keyof Outcome, "broken" | "head">, number>;

const total: Total = {
  placed: 0,
  placedAnew: 0,
  placedAlone: 0,
  closings: 0,
  ends: 0,
  events: 0,
  deploys: 0,
  dangerous: 0,
  moved: 0,
  cut: 0,
  crashes: 0,
  lastedMs: 0,
};

const PROGRESS_MS = 5000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      schedule: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const startedAt = performance.now();
  const failures: Failure[] = [];
  let runs = 0;
  let toldAt = startedAt;
  for (const schedule of await schedulesOf(values)) {
    runs += 1;
    const outcome = await new World(schedule).run();
    for (const [name, count] of Object.entries(outcome)) {
      if (Object.hasOwn(total, name)) total[name as keyof Total] += Number(count);
    }
    if (outcome.broken) failures.push(await failureOf(schedule, outcome.broken, failures));
    if (performance.now() - toldAt < PROGRESS_MS) continue;
    toldAt = performance.now();
    console.error(`${runs} seeds so far, ${failures.length} failures`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${runs} ${runs === 1 ? "seed" : "seeds"} in ${seconds.toFixed(1)} s: ${total.events} steps, ${total.placed} sessions placed ` +
      `(${total.placedAnew} anew, ${total.placedAlone} without control), ${total.deploys} deploys, ` +
      `${total.crashes} crashes, ${total.closings} closings; ${failures.length} failures`,
  );
  if (values.json) console.log(JSON.stringify({ seeds: runs, seconds, ...total, failures }));
  return failures.length === 0 ? 0 : 1;
}

async function schedulesOf(given: {
  readonly seeds: string;
  readonly from: string;
  readonly seed?: string | undefined;
  readonly schedule?: string | undefined;
}): Promise<Iterable<Schedule>> {
  if (given.schedule !== undefined) return [readSchedule(await readFile(given.schedule, "utf8"))];
  if (given.seed !== undefined) return [scheduleOf(numberOf("seed", given.seed))];
  const seeds = numberOf("seeds", given.seeds);
  const from = numberOf("from", given.from);
  return (function* () {
    for (let seed = from; seed < from + seeds; seed++) yield scheduleOf(seed);
  })();
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Error(`--${option} takes a whole number, not "${text}"`);
}

async function failureOf(schedule: Schedule, broken: Broken, before: readonly Failure[]): Promise<Failure> {
  const { seed } = schedule;
  console.log(`\nseed ${seed} breaks rule ${RULES[broken.rule]}\n  at ${Math.round(broken.atMs)} ms: ${broken.seen}`);
  if (before.some(({ rule }) => rule === broken.rule)) {
    return { seed, rule: broken.rule, seen: broken.seen, schedule: null };
  }
  const least = await shrink(schedule, broken, async (shorter) => (await new World(shorter).run()).broken);
  console.log(`  ${least.schedule.steps.length} of its ${schedule.steps.length} steps are enough:`);
  for (const line of storyOf(least.schedule)) console.log(`  ${line}`);
  console.log(`  at ${Math.round(least.failure.atMs)} ms: ${least.failure.seen}`);
  console.log(`  As one line, for --schedule:\n${JSON.stringify(least.schedule)}\n`);
  return { seed, rule: broken.rule, seen: least.failure.seen, schedule: least.schedule };
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (thrown: unknown) => {
    console.error(thrown instanceof Error ? thrown.message : String(thrown));
    process.exitCode = 2;
  },
);

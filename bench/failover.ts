import { parseArgs } from "node:util";
import { crashes } from "./failover/crashes.ts";
import { hangs } from "./failover/hangs.ts";
import { CHECKS, setUp, type Strike } from "./failover/scene.ts";
import { findingOf, machine, tableOf, type Finding, type Target } from "./router/finding.ts";
import { quantile } from "./router/quantiles.ts";

const HELP = `How long a session is without a place when its instance dies or hangs.

  --quick  a few of each: to see that it works
  --json   one object with everything measured, as the last line
`;

const FULL = { crashes: 30, adopted: 15, hangs: 5 };
const QUICK: typeof FULL = { crashes: 3, adopted: 3, hangs: 1 };

/** @returns the exit code: 0 measured, whatever the numbers say; 2 wrong usage */
export async function run(args: string[]): Promise<number> {
  let options;
  try {
    options = parseArgs({
      args,
      options: {
        quick: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${HELP}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const startedAt = performance.now();
  const say = (text: string): void => {
    process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
  };
  const at = new Date().toISOString();
  const here = machine();
  const extent = options.quick ? QUICK : FULL;

  say("starting holdover");
  const scene = await setUp();
  let crashed, adopted, hung;
  try {
    say(`${extent.crashes} crashes`);
    crashed = await crashes(scene, extent.crashes, false);
    say(`${extent.hangs} hangs`);
    hung = await hangs(scene, extent.hangs);
    say(`${extent.adopted} crashes of instances that an earlier host has started`);
    adopted = await crashes(scene, extent.adopted, true);
  } finally {
    await scene.stop();
  }
  const rebound = sorted([...crashed, ...adopted].flatMap(({ readMs }) => readMs));

  const checks = Math.max(...hung.map((hang) => hang.checks));
  const findings: Finding[] = [
    ...strikeFindings("crash", crashed, { of: "value", limit: "≤", bound: 100 }),
    ...strikeFindings("crash, adopted", adopted, { of: "value", limit: "≤", bound: 100 }),
    ...strikeFindings("hang", hung, null),
    findingOf("hang: failed checks before it is lost", "", one(checks), { of: "value", limit: "≤", bound: 3 }),
    finding("rebind: 16 KiB of state read by the new instance, p50", quantile(rebound, 0.5), null),
    finding("rebind: 16 KiB of state read by the new instance, p99", quantile(rebound, 0.99), null),
  ];
  process.stdout.write(`${tableOf(findings, [], process.stdout)}\n`);
  process.stdout.write(`${here["cpus"]} cores; load before: ${here["loadBefore"]}\n`);
  if (options.json) {
    const all = {
      bench: "failover",
      at,
      quick: options.quick,
      machine: here,
      crash: summaryOf(crashed),
      adopted: summaryOf(adopted),
      hang: { checks, ...CHECKS.hang, ...summaryOf(hung) },
      rebind: { p50Ms: quantile(rebound, 0.5), p99Ms: quantile(rebound, 0.99), maxMs: quantile(rebound, 1) },
      findings,
    };
    process.stdout.write(`${JSON.stringify(all)}\n`);
  }
  return 0;
}

function strikeFindings(what: string, strikes: readonly Strike[], target: Target | null): Finding[] {
  const { p50Ms, p99Ms, maxMs, closedP50Ms, refused, sessions, hostWaitedMs } = summaryOf(strikes);
  return [
    finding(`${what} → closed for the client, p50`, closedP50Ms, null),
    finding(`${what} → served by another, p50`, p50Ms, target),
    finding(`${what} → served by another, p99`, p99Ms, target),
    finding(`${what} → served by another, slowest of ${sessions}`, maxMs, target),
    findingOf(`${what}: connections refused meanwhile`, "", one(refused), null),
    finding(`${what}: host waited for a CPU in the slowest`, hostWaitedMs, null),
  ];
}

interface Summary {
  readonly strikes: number;
  /** Over all sessions of all strikes, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly closedP50Ms: number;
  readonly sessions: number;
  readonly refused: number;
  /** How long host waited for a CPU in the strike that took longest, ms. */
  readonly hostWaitedMs: number;
}

function summaryOf(strikes: readonly Strike[]): Summary {
  const served = sorted(strikes.flatMap(({ servedMs }) => servedMs));
  const slowest = strikes.toSorted((a, b) => Math.max(...b.servedMs) - Math.max(...a.servedMs))[0];
  return {
    strikes: strikes.length,
    p50Ms: quantile(served, 0.5),
    p99Ms: quantile(served, 0.99),
    maxMs: quantile(served, 1),
    closedP50Ms: quantile(sorted(strikes.flatMap(({ closedMs }) => closedMs)), 0.5),
    sessions: served.length,
    refused: strikes.reduce((sum, { refused }) => sum + refused, 0),
    hostWaitedMs: slowest?.hostWaitedMs ?? 0,
  };
}

function finding(what: string, value: number, target: Target | null): Finding {
  return findingOf(what, "ms", one(value), target);
}

function one(value: number): ReadonlyMap<"holdover", readonly number[]> {
  return new Map([["holdover", [value]]]);
}

function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

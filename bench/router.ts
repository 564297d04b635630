import { parseArgs } from "node:util";
import { machine, tableOf, type Finding } from "./router/finding.ts";
import { memory } from "./router/memory.ts";
import { messages } from "./router/messages.ts";
import { opens } from "./router/opens.ts";
import { pins } from "./router/pins.ts";
import { requests } from "./router/requests.ts";
import type { Skipped } from "./router/row.ts";
import { setUp, type Extent, type Say, type Stage } from "./router/stage.ts";
import { tableChanges } from "./router/table-changes.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const HELP = `The data plane's speed beside HAProxy and nginx, in one run.

  --only NAMES  of messages, opens, requests, memory, pins, table; separated by commas
  --quick       one short round of each: to see that it works, not to compare
  --json        one object with everything measured, as the last line
`;

const FULL: Omit<Extent, "roundsUntilMs"> = {
  rounds: 3,
  windowMs: 2_000,
  idleConnections: 4_000,
  pins: 1_000_000,
  tableChanges: 50,
};
const QUICK: typeof FULL = { rounds: 1, windowMs: 700, idleConnections: 1_000, pins: 100_000, tableChanges: 10 };

/** How long rounds may begin, ms: what comes after them takes a minute, and the whole at most four. */
const ROUNDS_MS = 150_000;

/** Those that share processes, in the order in which they are run. */
const ON_STAGE: Readonly<Record<string, (stage: Stage, extent: Extent, say: Say) => Promise<Finding[]>>> = {
  messages,
  opens,
  requests,
  table: tableChanges,
};
/** Those that want fresh ones. */
const ALONE: Readonly<Record<string, (extent: Extent, say: Say) => Promise<Finding[]>>> = { memory, pins };

/** @returns the exit code: 0 measured, whatever the numbers say; 2 wrong usage */
export async function run(args: string[]): Promise<number> {
  let options;
  try {
    options = parseArgs({
      args,
      options: {
        only: { type: "string" },
        quick: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${HELP}`);
    return 2;
  }
  const known = [...Object.keys(ON_STAGE), ...Object.keys(ALONE)];
  const wanted = options.only?.split(",").map((name) => name.trim()) ?? known;
  const unknown = wanted.filter((name) => !known.includes(name));
  if (options.help || unknown.length > 0) {
    if (unknown.length > 0) process.stderr.write(`Not known: ${unknown.join(", ")}.\n\n`);
    (options.help ? process.stdout : process.stderr).write(HELP);
    return options.help ? 0 : 2;
  }

  const startedAt = performance.now();
  const extent: Extent = { ...(options.quick ? QUICK : FULL), roundsUntilMs: startedAt + ROUNDS_MS };
  const say: Say = (text) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(4);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  const at = new Date().toISOString();
  const here = machine();
  // The peers are ended on `exit`, which an unheard signal would pass over.
  const leave = () => process.exit(130);
  for (const signal of SIGNALS) process.once(signal, leave);
  const { findings, skipped, peers } = await measure(wanted, extent, say).finally(() => {
    for (const signal of SIGNALS) process.off(signal, leave);
  });
  process.stdout.write(`${tableOf(findings, skipped, process.stdout)}\n`);
  process.stdout.write(`${here["cpus"]} cores; load before: ${here["loadBefore"]}\n`);
  for (const { name, why } of skipped) process.stdout.write(`${name} was skipped: ${why}\n`);
  if (options.json) {
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const all = { bench: "router", at, seconds, quick: options.quick, machine: here, peers, skipped, findings };
    process.stdout.write(`${JSON.stringify(all)}\n`);
  }
  return 0;
}

async function measure(wanted: readonly string[], extent: Extent, say: Say) {
  const findings: Finding[] = [];
  let skipped: readonly Skipped[] = [];
  let peers: Record<string, string> = {};
  if (wanted.some((name) => name in ON_STAGE)) {
    say("starting holdover and its peers");
    const stage = await setUp();
    try {
      skipped = stage.skipped;
      peers = Object.fromEntries(stage.rows.map(({ name, title }) => [name, title]));
      for (const [name, take] of Object.entries(ON_STAGE)) {
        if (wanted.includes(name)) findings.push(...(await take(stage, extent, say)));
      }
    } finally {
      await stage.stop();
    }
  }
  for (const [name, take] of Object.entries(ALONE)) {
    if (wanted.includes(name)) findings.push(...(await take(extent, say)));
  }
  return { findings, skipped, peers };
}

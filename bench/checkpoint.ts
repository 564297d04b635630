import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CheckpointWriter, type CheckpointStore } from "@holdover/core";
import { openHostStore } from "@holdover/adapters/stores/sqlite";
import { findingOf, machine, tableOf, type Finding, type Target } from "./router/finding.ts";
import { quantile } from "./router/quantiles.ts";

const HELP = `How long a session waits until what it writes is durable, in SQLite.

  --dir DIR  where the file is made (the system's directory for temporary files): a disk, not memory
  --quick    few writes: to see that it works
  --json     one object with everything measured, as the last line
`;

const KIB = 1024;
const SESSIONS = 64;
/** More sessions than write at once: the file is not all in one page of anything. */
const HELD = 1000;
const TARGETS_MS = { p50: 1, p99: 2 };

/** @returns the exit code: 0 measured, whatever the numbers say; 2 wrong usage */
export async function run(args: string[]): Promise<number> {
  let options;
  try {
    options = parseArgs({
      args,
      options: {
        dir: { type: "string", default: tmpdir() },
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
  const here = machine();
  const writes = options.quick ? 2_000 : 40_000;
  const directory = await mkdtemp(join(options.dir, "holdover-bench-checkpoint-"));
  const findings: Finding[] = [];
  try {
    const { checkpoints, close } = openHostStore(join(directory, "host.db"));
    const writers = await sessions(checkpoints);
    for (const kib of [1, 16]) {
      for (const atOnce of [1, SESSIONS]) {
        const what = `${kib} KiB, ${atOnce === 1 ? "alone" : `${atOnce} at once`}`;
        findings.push(...findingsOf(what, await waits(writers, atOnce, writes, kib * KIB)));
      }
    }
    close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  process.stdout.write(`${tableOf(findings, [], process.stdout)}\n`);
  process.stdout.write(`${here["cpus"]} cores; load before: ${here["loadBefore"]}\n`);
  if (options.json) {
    const at = new Date().toISOString();
    process.stdout.write(
      `${JSON.stringify({ bench: "checkpoint", at, quick: options.quick, machine: here, findings })}\n`,
    );
  }
  return 0;
}

async function sessions(store: CheckpointStore): Promise<CheckpointWriter[]> {
  const writers: CheckpointWriter[] = [];
  for (let index = 0; index < HELD; index += 1) {
    const session = { service: "chat", key: `room-${index}`, fence: index + 1 };
    await store.claim(session);
    writers.push(new CheckpointWriter(store, session));
  }
  return writers;
}

/**
 * Lets so many sessions write in one turn, waits for all, and again, until there were `writes`. Which sessions it are
 * moves on with every turn.
 * @returns how long each waited, from the moment in which all of them wanted to write, and how long after the last answer
 * of a turn the thread was busy, so that whatever came then waited; in ms, sorted
 */
async function waits(
  writers: readonly CheckpointWriter[],
  atOnce: number,
  writes: number,
  size: number,
): Promise<{ readonly waited: Float64Array; readonly busy: Float64Array }> {
  const waited: number[] = [];
  const busy: number[] = [];
  for (let turn = 0; waited.length < writes; turn += 1) {
    const bytes = new Uint8Array(size).fill(turn);
    const entries = [{ name: "transcript", format: "transcript", version: 1, bytes }];
    const from = performance.now();
    const writing = Array.from({ length: atOnce }, async (_, index) => {
      await writers[(turn * atOnce + index) % writers.length]?.write(entries);
      waited.push(performance.now() - from);
    });
    await Promise.all(writing);
    const answered = performance.now();
    await new Promise(setImmediate);
    busy.push(performance.now() - answered);
  }
  return { waited: Float64Array.from(waited).sort(), busy: Float64Array.from(busy).sort() };
}

function findingsOf(
  what: string,
  { waited: sorted, busy }: { readonly waited: Float64Array; readonly busy: Float64Array },
): Finding[] {
  const mostMs = quantile(sorted, 1);
  const after = findingOf(
    `the thread is busy after a turn of ${what}, p99`,
    "ms",
    new Map([["holdover", [quantile(busy, 0.99)]]]),
    null,
    { turns: busy.length, mostMs: quantile(busy, 1) },
  );
  const waits = (["p50", "p99"] as const).map((name) => {
    const target: Target = { of: "value", limit: "≤", bound: TARGETS_MS[name] };
    const value = quantile(sorted, name === "p50" ? 0.5 : 0.99);
    const detail = { writes: sorted.length, mostMs };
    return findingOf(`a durable write of ${what}, ${name}`, "ms", new Map([["holdover", [value]]]), target, detail);
  });
  return [...waits, after];
}

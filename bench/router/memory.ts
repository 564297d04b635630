import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findingOf, type Finding } from "./finding.ts";
import { residentBytes } from "./process-usage.ts";
import type { Row } from "./row.ts";
import { alternate, PROXIES, setUp, type Extent, type Say } from "./stage.ts";

const SETTLE = new URL("settle.ts", import.meta.url);
/**
 * Connections that are there before the first look: what a process takes once for all of them (compiled code, the
 * young generation of node's heap, the first slabs of a pool) is then paid.
 */
const BASE = 500;
const SETTLED_MS = 5_000;
const LOOK_AGAIN_MS = 20;
/** For processes that cannot be told to settle. */
const QUIET_MS = 500;

interface Memory {
  readonly rss: number;
  /** Node's own account, bytes; empty for the peers. */
  readonly parts: Partial<NodeJS.MemoryUsage>;
}

/**
 * Resident memory that an idle WebSocket adds. Fresh processes; node is told to collect all garbage before each look
 * (see settle.ts), since its heap otherwise grows by what it has not got round to collecting.
 */
export async function memory(extent: Extent, say: Say): Promise<Finding[]> {
  const directory = await mkdtemp(join(tmpdir(), "holdover-bench-memory-"));
  const inherited = process.env["NODE_OPTIONS"] ?? "";
  const stage = await setUp({
    NODE_OPTIONS: `${inherited} --expose-gc --import ${SETTLE.href}`,
    BENCH_SETTLED_DIR: directory,
  });
  try {
    const { load } = stage;
    const proxies = stage.rows.filter(({ name }) => PROXIES.includes(name));
    const results = await alternate(proxies, { ...extent, rounds: 1 }, async (row) => {
      say(`memory: ${extent.idleConnections} idle connections, ${row.name}`);
      await load.idle({ kind: "idle", port: row.port, pids: [], connections: BASE });
      const before = await settled(row, directory);
      await load.idle({ kind: "idle", port: row.port, pids: [], connections: extent.idleConnections });
      const unsettled = residentBytes(row.pids[0] ?? 0);
      const after = await settled(row, directory);
      await load.hangUp();
      return { before, after, unsettled };
    });
    const each = (bytes: number) => bytes / extent.idleConnections / 1024;
    const [node] = results.get("holdover") ?? [];
    const detail: Record<string, number> = {};
    if (node) {
      for (const part of ["heapUsed", "external", "arrayBuffers"] as const) {
        detail[`${part}KiB`] = each((node.after.parts[part] ?? 0) - (node.before.parts[part] ?? 0));
      }
      detail["beforeCollectingKiB"] = each(node.unsettled - node.before.rss);
    }
    const rounds = new Map(
      [...results].map(([name, all]) => [name, all.map(({ before, after }) => each(after.rss - before.rss))]),
    );
    return [
      findingOf("memory an idle WebSocket", "KiB", rounds, { of: "value", limit: "≤", bound: 8 }, detail),
      findingOf("of it on node's heap", "KiB", new Map([["holdover", [detail["heapUsedKiB"] ?? Number.NaN]]]), null),
    ];
  } finally {
    await stage.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function settled(row: Row, directory: string): Promise<Memory> {
  const pid = row.pids[0];
  if (pid === undefined) throw new Error(`${row.name} has no process`);
  if (row.name !== "holdover") {
    await delay(QUIET_MS);
    return { rss: residentBytes(pid), parts: {} };
  }
  const file = join(directory, `${pid}.json`);
  await rm(file, { force: true });
  process.kill(pid, "SIGUSR2");
  const deadline = performance.now() + SETTLED_MS;
  while (performance.now() < deadline) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) return { rss: residentBytes(pid), parts: JSON.parse(text) as NodeJS.MemoryUsage };
    await delay(LOOK_AGAIN_MS);
  }
  throw new Error("the host did not collect its garbage when it was told to");
}

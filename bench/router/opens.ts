import { findingOf, type Finding } from "./finding.ts";
import { LINGER_MS } from "./holdover-row.ts";
import { cpuSeconds } from "./process-usage.ts";
import type { Row } from "./row.ts";
import { alternate, figures, PROXIES, type Extent, type Say, type Stage } from "./stage.ts";

const AT_ONCE = 32;
const WARM_MS = 300;
/** After its linger a session ends, which is stored and told to control: host looks every 100 ms. */
const SETTLE_MS = LINGER_MS + 300;

/** WebSocket opens, each of a new session that is closed again at once. */
export async function opens({ rows, load, holdover }: Stage, extent: Extent, say: Say): Promise<Finding[]> {
  const turn = (row: Row, ms: number) =>
    load.run({
      kind: "opens",
      port: row.port,
      pids: row.pids,
      atOnce: AT_ONCE,
      warmMs: WARM_MS,
      ms,
      settleMs: row.name === "holdover" ? SETTLE_MS : 0,
    });
  for (const row of rows) await turn(row, extent.windowMs / 2);
  const before = { host: cpuSeconds([holdover.hostPid]), control: cpuSeconds([holdover.controlPid]) };
  const results = await alternate(rows, extent, (row, round) => {
    say(`session opens: round ${round}, ${row.name}`);
    return turn(row, extent.windowMs);
  });
  const host = cpuSeconds([holdover.hostPid]) - before.host;
  const control = cpuSeconds([holdover.controlPid]) - before.control;
  return [
    findingOf(
      "session opens a CPU-second",
      "/CPU-s",
      figures(results, ({ count, cpuSeconds }) => count / cpuSeconds, PROXIES),
      { of: "ratio to HAProxy", limit: "≥", bound: 0.8 },
      { controlCpuByHostCpu: control / host },
    ),
    findingOf(
      "session opens",
      "/s",
      figures(results, ({ count, seconds }) => count / seconds),
      null,
    ),
    findingOf(
      "session open to closed, p99",
      "ms",
      figures(results, ({ p99Ms }) => p99Ms),
      null,
    ),
  ];
}

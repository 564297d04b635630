import { findingOf, type Finding } from "./finding.ts";
import { alternate, figures, PROXIES, type Extent, type Say, type Stage } from "./stage.ts";

const CONNECTIONS = 64;
const WARM_MS = 300;

/** HTTP requests of sessions that are known, with a small answer, on kept-alive connections. */
export async function requests({ rows, load }: Stage, extent: Extent, say: Say): Promise<Finding[]> {
  const turn = (port: number, pids: readonly number[], ms: number) =>
    load.run({ kind: "requests", port, pids, connections: CONNECTIONS, warmMs: WARM_MS, ms });
  for (const row of rows) await turn(row.port, row.pids, extent.windowMs / 2);
  const results = await alternate(rows, extent, (row, round) => {
    say(`HTTP requests: round ${round}, ${row.name}`);
    return turn(row.port, row.pids, extent.windowMs);
  });
  return [
    findingOf(
      "HTTP requests a CPU-second",
      "/CPU-s",
      figures(results, ({ count, cpuSeconds }) => count / cpuSeconds, PROXIES),
      null,
    ),
    findingOf(
      "HTTP requests",
      "/s",
      figures(results, ({ count, seconds }) => count / seconds),
      null,
    ),
    findingOf(
      "HTTP request, p99",
      "ms",
      figures(results, ({ p99Ms }) => p99Ms),
      null,
    ),
  ];
}

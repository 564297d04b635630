import { findingOf, type Finding } from "./finding.ts";
import { alternate, figures, PROXIES, type Extent, type Say, type Stage } from "./stage.ts";

const SIZES = [
  { bytes: 64, title: "64 B" },
  { bytes: 4096, title: "4 KiB" },
];
const CONNECTIONS = 64;
/** The first turn of a row is not measured at all, so that node has compiled what is hot; later ones only begin so. */
const WARM_MS = 300;

/** CPU, throughput and latency of WebSocket messages, ping-pong on open connections. A round trip is two messages. */
export async function messages({ rows, load }: Stage, extent: Extent, say: Say): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { bytes, title } of SIZES) {
    const turn = (port: number, pids: readonly number[], ms: number) =>
      load.run({ kind: "messages", port, pids, connections: CONNECTIONS, bytes, warmMs: WARM_MS, ms });
    for (const row of rows) await turn(row.port, row.pids, extent.windowMs / 2);
    const results = await alternate(rows, extent, (row, round) => {
      say(`messages of ${title}: round ${round}, ${row.name}`);
      return turn(row.port, row.pids, extent.windowMs);
    });
    findings.push(
      findingOf(
        `CPU a message, ${title}`,
        "µs",
        figures(results, ({ cpuSeconds, count }) => (cpuSeconds * 1e6) / (2 * count), PROXIES),
        { of: "ratio to the better peer", limit: "≤", bound: 1.3 },
      ),
      findingOf(
        `messages, ${title}`,
        "/s",
        figures(results, ({ count, seconds }) => (2 * count) / seconds),
        null,
      ),
      findingOf(
        `round trip, ${title}, p50`,
        "ms",
        figures(results, ({ p50Ms }) => p50Ms),
        null,
      ),
      findingOf(
        `round trip, ${title}, p99`,
        "ms",
        figures(results, ({ p99Ms }) => p99Ms),
        null,
      ),
    );
  }
  return findings;
}

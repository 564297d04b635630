import { LatencyCounts, type HostHealth, type Traffic } from "@holdover/core";

/** What a host tells that has done nothing yet. */
export function idleTraffic(): Traffic {
  const none = () => new LatencyCounts().read();
  return {
    requests: 0,
    upgrades: 0,
    connections: 0,
    refused: {},
    placing: none(),
    added: { known: none(), placed: none() },
    stale: { claim: 0, write: 0, attach: 0 },
  };
}

export const IDLE_HOST: HostHealth = {
  startedAtMs: 1_000,
  cpuS: 0.5,
  residentBytes: 100_000_000,
  heapUsedBytes: 20_000_000,
  loopLag: { p50S: 0, p99S: 0.001, maxS: 0.002 },
  store: { bytes: 4096, failures: 0, problem: null },
  events: { waiting: 0, dropped: 0 },
  links: 1,
  sessionsMost: 1_000_000,
};

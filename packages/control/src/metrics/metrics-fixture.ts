import { LatencyCounts, REJECTION_REASONS, type HostHealth, type SessionTotals, type Traffic } from "@holdover/core";
import { releaseView, statusView } from "../api/api-fixture.ts";
import type { InstanceView } from "../api/views.ts";
import type { MetricsSources } from "./metrics.ts";

/** For the tests of metrics: sources of which every metric has a series, but for those of sinks. */

function latenciesOf(...ms: number[]) {
  const counts = new LatencyCounts();
  for (const one of ms) counts.add(one);
  return counts.read();
}

const TRAFFIC: Traffic = {
  requests: 40,
  upgrades: 30,
  connections: 12,
  refused: { HOST_UNKNOWN: 2, NO_INSTANCE: 1, NO_CODE_OF_OURS: 9 },
  placing: latenciesOf(0.3, 0.7, 6000),
  added: { known: latenciesOf(0.04), placed: latenciesOf(0.9, 1.1) },
  stale: { claim: 1, write: 2, attach: 3 },
};
const HOST: HostHealth = {
  startedAtMs: 5000,
  cpuS: 1.25,
  residentBytes: 90_000_000,
  heapUsedBytes: 30_000_000,
  loopLag: { p50S: 0.001, p99S: 0.01, maxS: 0.2 },
  store: { bytes: 8192, failures: 1, problem: "disk full" },
  events: { waiting: 3, dropped: 0 },
  links: 2,
  sessionsMost: 1000,
};
export const TOTALS: SessionTotals = {
  service: "consultation",
  release: "v2",
  ended: { hangup: 9, expired: 4, moved: 3, cut: 0, lost: 1 },
  disrupted: 5,
};

export const instance = (state: InstanceView["state"], n: number): InstanceView => ({
  id: `consultation-v2-${n}`,
  service: "consultation",
  release: "v2",
  state,
  sinceMs: 1,
  startedAtMs: 0,
  address: "127.0.0.1:1",
  pid: 1,
  sessions: null,
  problem: null,
});

const noRejections = Object.fromEntries(REJECTION_REASONS.map((reason) => [reason, 0])) as ReturnType<
  MetricsSources["rejections"]
>;

export const STATUS = statusView([
  releaseView("v1", {
    state: "retained",
    admission: "existing",
    retention: {
      policy: "budget",
      rule: "forecast",
      hardStopMs: null,
      fromSessions: 0,
      allowedCuts: 1,
      wouldCut: 1.5,
      retires: { lowMs: 60_000, medianMs: 70_000, highMs: 90_000, known: true },
      deadlineMs: 90_500,
      floorUntilMs: 0,
      why: "3 of the 9 sessions live at the cutover are left, 1 may be cut",
    },
  }),
  releaseView("v2", { instances: [instance("ready", 1), instance("ready", 2), instance("draining", 3)] }),
]);

export const SOURCES: MetricsSources = {
  status: () => STATUS,
  traffic: () => TRAFFIC,
  link: () => ({ silentMs: 250, host: HOST, applying: latenciesOf(3) }),
  totals: async () => [TOTALS],
  auditHead: async () => ({ seq: 77, hash: "x" }),
  auditUnsigned: () => false,
  auditSinks: () => [],
  rejections: () => ({ ...noRejections, token: 4 }),
  store: () => ({ bytes: 4096, failures: 0, problem: null }),
  openStreams: () => 3,
};

import type { SessionTotals, Traffic } from "@holdover/core";
import { describe, expect, test } from "vitest";
import { releaseView, statusView } from "./api/api-fixture.ts";
import type { InstanceView, StatusView } from "./api/views.ts";
import { createMetrics, type MetricsSources } from "./metrics.ts";

const TRAFFIC: Traffic = { requests: 40, upgrades: 30, connections: 12, refused: { HOST_UNKNOWN: 2, NO_INSTANCE: 1 } };
const TOTALS: SessionTotals = {
  service: "consultation",
  release: "v2",
  ended: { hangup: 9, expired: 4, moved: 3, cut: 0, lost: 1 },
  disrupted: 5,
};

const instance = (state: InstanceView["state"], n: number): InstanceView => ({
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

const STATUS = statusView([
  releaseView("v1", {
    state: "retained",
    admission: "existing",
    retention: {
      policy: "fixed",
      rule: "fixed",
      hardStopMs: null,
      fromSessions: 0,
      wouldCut: 1.5,
      retires: { lowMs: 60_000, medianMs: 70_000, highMs: 90_000, known: true },
      deadlineMs: 90_500,
      floorUntilMs: 0,
      why: "fixed window of 90s",
    },
  }),
  releaseView("v2", { instances: [instance("ready", 1), instance("ready", 2), instance("draining", 3)] }),
]);

/** The metrics of one scrape, by series: `name{label="value"}` to its value as it stands there. */
async function scrape(over: Partial<MetricsSources> = {}): Promise<Map<string, string>> {
  const metrics = createMetrics({
    status: () => STATUS,
    traffic: () => TRAFFIC,
    totals: async () => [TOTALS],
    auditHead: async () => ({ seq: 77, hash: "x" }),
    ...over,
  });
  return seriesOf(await metrics.text());
}

function seriesOf(text: string): Map<string, string> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const series = new Map(
    lines.map((line): [string, string] => [
      line.slice(0, line.lastIndexOf(" ")),
      line.slice(line.lastIndexOf(" ") + 1),
    ]),
  );
  // A series that stands there twice makes Prometheus refuse the whole scrape.
  expect(series.size).toBe(lines.length);
  return series;
}

const named = (series: Map<string, string>, name: string) =>
  [...series].filter(([key]) => key === name || key.startsWith(`${name}{`)).map(([key, value]) => `${key} ${value}`);

describe("a scrape", () => {
  test("tells sessions, connections, instances, state and deadline of each release", async () => {
    const series = await scrape();
    expect(named(series, "holdover_sessions")).toEqual([
      'holdover_sessions{service="consultation",release="v1",state="open"} 2',
      'holdover_sessions{service="consultation",release="v1",state="lingering"} 1',
      'holdover_sessions{service="consultation",release="v2",state="open"} 2',
      'holdover_sessions{service="consultation",release="v2",state="lingering"} 1',
    ]);
    expect(series.get('holdover_connections{service="consultation",release="v2"}')).toBe("3");
    expect(named(series, "holdover_release_state")).toEqual([
      'holdover_release_state{service="consultation",release="v1",state="retained"} 1',
      'holdover_release_state{service="consultation",release="v2",state="current"} 1',
    ]);
    expect(named(series, "holdover_release_deadline_seconds")).toEqual([
      'holdover_release_deadline_seconds{service="consultation",release="v1"} 90.5',
    ]);
    expect(named(series, "holdover_release_retires_seconds")).toEqual([
      'holdover_release_retires_seconds{service="consultation",release="v1",quantile="0.1"} 60',
      'holdover_release_retires_seconds{service="consultation",release="v1",quantile="0.5"} 70',
      'holdover_release_retires_seconds{service="consultation",release="v1",quantile="0.9"} 90',
    ]);
    expect(series.get('holdover_release_would_cut_sessions{service="consultation",release="v1"}')).toBe("1.5");
    expect(named(series, "holdover_instances").slice(3)).toEqual([
      'holdover_instances{service="consultation",release="v2",state="starting"} 0',
      'holdover_instances{service="consultation",release="v2",state="ready"} 2',
      'holdover_instances{service="consultation",release="v2",state="draining"} 1',
    ]);
  });

  test("tells ended and disrupted sessions, traffic, table, link and audit log", async () => {
    const series = await scrape();
    expect(named(series, "holdover_sessions_ended_total")).toEqual(
      Object.entries(TOTALS.ended).map(
        ([reason, count]) =>
          `holdover_sessions_ended_total{service="consultation",release="v2",reason="${reason}"} ${count}`,
      ),
    );
    expect(named(series, "holdover_sessions_disrupted_total")).toEqual([
      'holdover_sessions_disrupted_total{service="consultation",release="v2"} 5',
    ]);
    expect(named(series, "holdover_router_refused_total")).toEqual([
      'holdover_router_refused_total{code="HOST_UNKNOWN"} 2',
      'holdover_router_refused_total{code="NO_INSTANCE"} 1',
    ]);
    expect(Object.fromEntries(series)).toMatchObject({
      holdover_router_requests_total: "40",
      holdover_router_upgrades_total: "30",
      holdover_router_connections: "12",
      holdover_table_issued: "7",
      holdover_table_in_force: "6",
      holdover_link_up: "1",
      holdover_audit_entries_total: "77",
    });
  });

  test("tells of the control process itself, after each of any number of scrapes", async () => {
    const metrics = createMetrics({
      status: () => STATUS,
      traffic: () => TRAFFIC,
      totals: async () => [TOTALS],
      auditHead: async () => ({ seq: 1, hash: "x" }),
    });
    const texts = await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
    for (const text of texts) {
      expect(text).toMatch(/^process_cpu_seconds_total /m);
      expect(seriesOf(text).get("holdover_router_requests_total")).toBe("40");
    }
  });
});

test("a scrape tells how far behind each sink of the audit log is, and which fails", async () => {
  const sink = { name: "stdout", sentSeq: 70, backlog: 7, failure: null };
  const failing = { name: "file x", sentSeq: null, backlog: null, failure: { problem: "gone", sinceMs: 1 } };
  const series = await scrape({ auditSinks: () => [sink, failing] });
  const found = [...series].filter(([name]) => name.includes("sink"));
  expect(Object.fromEntries(found)).toEqual({
    'holdover_audit_sink_backlog_entries{sink="stdout"}': "7",
    'holdover_audit_sink_failing{sink="stdout"}': "0",
    'holdover_audit_sink_failing{sink="file x"}': "1",
  });
});

describe("what is not known now", () => {
  test("has no series, and never a zero", async () => {
    const unknown: StatusView = statusView([releaseView("v2", { sessions: null, instances: [instance("ready", 1)] })], {
      linked: false,
      tableInForce: null,
    });
    const series = await scrape({ status: () => unknown, traffic: () => null });
    expect(series.get("holdover_link_up")).toBe("0");
    const silent = [
      "holdover_sessions",
      "holdover_connections",
      "holdover_instances",
      "holdover_table_in_force",
      "holdover_router_requests_total",
      "holdover_router_upgrades_total",
      "holdover_router_connections",
      "holdover_router_refused_total",
      "holdover_release_deadline_seconds",
    ];
    expect(silent.flatMap((name) => named(series, name))).toEqual([]);
    expect(named(series, "holdover_release_state")).toHaveLength(1);
  });

  test("because the store cannot be read leaves the rest of the scrape whole", async () => {
    const fail = async () => {
      throw new Error("disk full");
    };
    const series = await scrape({ totals: fail, auditHead: fail });
    expect(named(series, "holdover_sessions_ended_total")).toEqual([]);
    expect(named(series, "holdover_sessions_disrupted_total")).toEqual([]);
    expect(named(series, "holdover_audit_entries_total")).toEqual([]);
    expect(series.get("holdover_link_up")).toBe("1");
  });
});

test("releases that are over have series until 20 later ones are over too; live ones always have", async () => {
  const over = Array.from({ length: 30 }, (_, n) =>
    releaseView(`old-${n}`, {
      state: n % 2 ? "retired" : "failed",
      sinceMs: n,
      sessions: { open: 0, lingering: 0, connections: 0, wedged: 0 },
    }),
  );
  const live = releaseView("v2", { sinceMs: 0 });
  const totals = [...over, live].map(({ id }) => Object.assign({}, TOTALS, { release: id }));
  const series = await scrape({ status: () => statusView([...over, live]), totals: async () => totals });
  const releases = (name: string) => named(series, name).map((line) => /release="([^"]+)"/.exec(line)?.[1]);
  const kept = [...Array.from({ length: 20 }, (_, n) => `old-${n + 10}`), "v2"];
  expect(releases("holdover_sessions_disrupted_total")).toEqual(kept);
  expect(releases("holdover_connections")).toEqual(kept);
  expect(releases("holdover_release_state")).toEqual(["v2"]);
  expect(new Set(releases("holdover_instances"))).toEqual(new Set(["v2"]));
});

import { describe, expect, test } from "vitest";
import { releaseView, statusView } from "../api/api-fixture.ts";
import type { StatusView } from "../api/views.ts";
import { instance, SOURCES, STATUS, TOTALS } from "./metrics-fixture.ts";
import { createMetrics, type MetricsSources } from "./metrics.ts";

/** The metrics of one scrape, by series: `name{label="value"}` to its value as it stands there. */
async function scrape(over: Partial<MetricsSources> = {}): Promise<Map<string, string>> {
  return seriesOf(await createMetrics({ ...SOURCES, ...over }).text());
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
    expect(named(series, "holdover_release_deadline_timestamp_seconds")).toEqual([
      'holdover_release_deadline_timestamp_seconds{service="consultation",release="v1"} 90.5',
    ]);
    expect(named(series, "holdover_release_retires_timestamp_seconds")).toEqual([
      'holdover_release_retires_timestamp_seconds{service="consultation",release="v1",bound="low"} 60',
      'holdover_release_retires_timestamp_seconds{service="consultation",release="v1",bound="median"} 70',
      'holdover_release_retires_timestamp_seconds{service="consultation",release="v1",bound="high"} 90',
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
    const ended = (release: string, reason: string) =>
      series.get(`holdover_sessions_ended_total{service="consultation",release="${release}",reason="${reason}"}`);
    for (const [reason, count] of Object.entries(TOTALS.ended)) expect(ended("v2", reason)).toBe(String(count));
    // Of v1 none has ended: for a series that began with the first end, `increase()` would not see that one.
    for (const reason of Object.keys(TOTALS.ended)) expect(ended("v1", reason)).toBe("0");
    expect(named(series, "holdover_sessions_disrupted_total")).toEqual([
      'holdover_sessions_disrupted_total{service="consultation",release="v1"} 0',
      'holdover_sessions_disrupted_total{service="consultation",release="v2"} 5',
    ]);
    expect(new Set(named(series, "holdover_router_refused_total"))).toEqual(
      new Set([
        'holdover_router_refused_total{code="HOST_UNKNOWN"} 2',
        'holdover_router_refused_total{code="NO_INSTANCE"} 1',
        'holdover_router_refused_total{code="INSTANCE_UNREACHABLE"} 0',
        'holdover_router_refused_total{code="SESSION_LIMIT"} 0',
        'holdover_router_refused_total{code="STORE_FAILED"} 0',
        'holdover_router_refused_total{code="INTERNAL"} 0',
      ]),
    );
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
    const metrics = createMetrics(SOURCES);
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
  const found = [...series].filter(([name]) => name.includes("sink="));
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
      "holdover_release_deadline_timestamp_seconds",
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

describe("latencies", () => {
  test("are a histogram with the buckets in which they were counted elsewhere", async () => {
    const series = await scrape();
    const bucket = (name: string, le: string, more = "") => series.get(`${name}_bucket{${more}le="${le}"}`);
    expect(
      ["0.0002", "0.0005", "0.001", "2.5", "+Inf"].map((le) => bucket("holdover_router_placing_seconds", le)),
    ).toEqual(["0", "1", "2", "2", "3"]);
    expect(series.get("holdover_router_placing_seconds_count")).toBe("3");
    expect(Number(series.get("holdover_router_placing_seconds_sum"))).toBeCloseTo(6.001);
    expect(bucket("holdover_router_added_seconds", "0.00005", 'session="known",')).toBe("1");
    expect(bucket("holdover_router_added_seconds", "0.001", 'session="placed",')).toBe("1");
    expect(series.get('holdover_router_added_seconds_count{session="placed"}')).toBe("2");
    expect(series.get("holdover_table_apply_seconds_count")).toBe("1");
  });
});

test("a retained release tells since when it is kept, what its budget lets be cut, and how many are left over it", async () => {
  const retention = STATUS.services[0]?.releases[0]?.retention;
  if (!retention) throw new Error("v1 is retained");
  const sessions = (open: number) => ({ open, lingering: 1, connections: open, wedged: 0 });
  const retained = (id: string, open: number, allowedCuts: number) =>
    releaseView(id, {
      state: "retained",
      sinceMs: 2000,
      sessions: sessions(open),
      retention: { ...retention, allowedCuts },
    });
  const unknown = { ...retained("unknown", 0, 5), sessions: null };
  const series = await scrape({
    status: () => statusView([retained("over", 7, 5), retained("within", 3, 5), unknown, releaseView("v2")]),
  });
  const of = (name: string) =>
    Object.fromEntries(
      named(series, name).map((line) => [/release="([^"]+)"/.exec(line)?.[1], line.split(" ").at(-1)]),
    );
  expect(of("holdover_release_retained_timestamp_seconds")).toEqual({ over: "2", within: "2", unknown: "2" });
  expect(of("holdover_release_budget_sessions")).toEqual({ over: "5", within: "5", unknown: "5" });
  // How many are left of the third nobody knows, so nobody knows how many are over.
  expect(of("holdover_release_over_budget_sessions")).toEqual({ over: "3", within: "0" });
});

test("whatever services and releases there are, the series are so many at the most, and what is left out is told", async () => {
  const live = Array.from({ length: 80 }, (_, n) => releaseView(`r${n}`, { state: "ready", sinceMs: n }));
  const [some] = statusView(live).services;
  if (!some) throw new Error("there is a service");
  const services = Array.from({ length: 320 }, (_, n) => ({ ...some, name: `s${n}`, releases: n === 0 ? live : [] }));
  services[310]?.releases.push(releaseView("hidden"));
  const series = await scrape({ status: () => ({ ...statusView([]), services }) });
  const shown = named(series, "holdover_release_state").map((line) => /release="([^"]+)"/.exec(line)?.[1]);
  expect(shown).toEqual(Array.from({ length: 50 }, (_, n) => `r${n + 30}`));
  expect(series.get("holdover_releases_without_series")).toBe("31");
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

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { REPOSITORY } from "@holdover/testkit/cluster";
import { findProgram } from "@holdover/testkit/debian-program";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";

/** The dashboard and the alert rules, which are shipped as files, beside the table of metrics. */

const run = promisify(execFile);
const doc = (name: string) => join(REPOSITORY, "docs", name);
const RULES = doc("alerts/holdover.rules.yaml");
const RULE_TESTS = doc("alerts/holdover.rules.test.yaml");

const promtool = await findProgram(
  { name: "promtool", names: ["promtool"], debianPackage: "prometheus", variable: "PROMTOOL" },
  "that Prometheus takes the alert rules and the queries of the dashboard, and that each alert fires when it should",
);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

const metricsPage = await readFile(doc("metrics.md"), "utf8");
const documented = new Set([...metricsPage.matchAll(/^\| `(holdover_[a-z_]+)` \|/gm)].map(([, name]) => name));
const { groups } = parse(await readFile(RULES, "utf8")) as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(await readFile(doc("grafana/holdover.json"), "utf8")) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

/** Metrics that a query names, each without the ending of a histogram's series, and that are in no table. */
function unknownMetrics(expr: string): string[] {
  const named = [...expr.matchAll(/\b(holdover_[a-z_]+)/g)].map(([, name = ""]) => name);
  return named.filter((name) => !documented.has(name) && !documented.has(name.replace(/_(bucket|sum|count)$/, "")));
}

describe("the alert rules", () => {
  test("speak of metrics that there are", () => {
    expect(documented.size).toBeGreaterThan(40);
    expect(rules.flatMap(({ expr }) => unknownMetrics(expr))).toEqual([]);
  });

  test("say what happened, how bad it is, and where it stands what to do", () => {
    for (const { alert, labels, annotations } of rules) {
      expect(alert).toMatch(/^Holdover[A-Z]\w+$/);
      expect(["warning", "critical"]).toContain(labels["severity"]);
      expect(annotations).toEqual({
        summary: expect.stringMatching(/\w/),
        description: expect.stringMatching(/\w/),
        runbook_url: `docs/operating.md#${alert.toLowerCase()}`,
      });
    }
  });

  test("are those of docs/metrics.md, with their severity", () => {
    const rows = [...metricsPage.matchAll(/^\| \[`(Holdover\w+)`\]\((\S+)\) \| (\w+) \|/gm)];
    expect(rows.map(([, alert, link, severity]) => [alert, link, severity])).toEqual(
      rules.map(({ alert, labels }) => [alert, `operating.md#${alert.toLowerCase()}`, labels["severity"]]),
    );
  });

  test("have each a heading in docs/operating.md, where it stands what to do", async () => {
    const operating = await readFile(doc("operating.md"), "utf8");
    const headings = [...operating.matchAll(/^### (Holdover\w+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(rules.map(({ alert }) => alert));
  });

  test("have each a test of when it fires", async () => {
    const { tests } = parse(await readFile(RULE_TESTS, "utf8")) as {
      tests: { promql_expr_test: { expr: string; exp_samples: unknown[] }[] }[];
    };
    const tested = tests.flatMap((one) =>
      one.promql_expr_test
        .filter((expected) => expected.exp_samples.length > 0)
        .map(({ expr }) => /ALERTS\{alertname="(\w+)", alertstate="firing"\}/.exec(expr)?.[1]),
    );
    expect(new Set(tested)).toEqual(new Set(rules.map(({ alert }) => alert)));
  });
});

test("every metric that a guide speaks of is in the table", async () => {
  const guides = (await readdir(doc("."))).filter((name) => name.endsWith(".md"));
  const texts = await Promise.all(guides.map((name) => readFile(doc(name), "utf8")));
  expect(texts.flatMap(unknownMetrics)).toEqual([]);
});

describe("the dashboard", () => {
  test("asks for metrics that there are, and for every one of them that a person would look at", () => {
    expect(queries.length).toBeGreaterThan(40);
    expect(queries.flatMap(({ expr }) => unknownMetrics(expr))).toEqual([]);
    const asked = queries.map(({ expr }) => expr).join("\n");
    // What runs is the variable `job`; the rest has a panel.
    const silent = [...documented].filter((name = "") => !new RegExp(`\\b${name}(_bucket)?\\b`).test(asked));
    expect(silent).toEqual(["holdover_build_info"]);
  });

  test("lets its data source, job and services be chosen, and asks for nothing else's", () => {
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ["datasource", "datasource"],
      ["job", "query"],
      ["service", "query"],
    ]);
    const datasources = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ datasource }) => datasource.uid));
    expect(new Set(datasources)).toEqual(new Set(["${datasource}"]));
    const selectors = queries.flatMap(({ expr }) => [
      ...expr.matchAll(/\b(?:holdover|process|nodejs)_[a-z0-9_]+(?:\{[^}]*\})?/g),
    ]);
    expect(selectors.map(([selector]) => selector).filter((one) => !one.includes('{job="$job"'))).toEqual([]);
  });

  test("explains every panel and lays none over another", () => {
    const silent = dashboard.panels.filter(({ type, description = "" }) => type !== "row" && !/\w/.test(description));
    expect(silent.map(({ title }) => title)).toEqual([]);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.x + gridPos.w))).toBe(24);
  });
});

describe.skipIf(promtool.path === null)("Prometheus itself", () => {
  const tool = promtool.path ?? "";
  const directory = mkdtemp(join(tmpdir(), "holdover-rules-"));
  afterAll(async () => rm(await directory, { recursive: true }));

  test("takes the alert rules", async () => {
    const { stdout } = await run(tool, ["check", "rules", RULES]);
    expect(stdout).toContain(`${rules.length} rules found`);
  });

  test("fires each alert when it should, and not for what only looks like it", async () => {
    const { stdout } = await run(tool, ["test", "rules", RULE_TESTS]);
    expect(stdout).toContain("SUCCESS");
  });

  test("understands every query of the dashboard", async () => {
    const inTheirPlace = (expr: string) =>
      expr
        .replaceAll("$__rate_interval", "1m")
        .replaceAll("$__range", "1h")
        .replaceAll("$job", "holdover")
        .replaceAll("$service", ".*");
    const records = queries.map(({ expr }, n) => ({ record: `panel:query:${n}`, expr: inTheirPlace(expr) }));
    const file = join(await directory, "dashboard.rules.yaml");
    // JSON is YAML, too.
    await writeFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules: records }] }));
    const { stdout } = await run(tool, ["check", "rules", file]);
    expect(stdout).toContain(`${queries.length} rules found`);
  });
});

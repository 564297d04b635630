import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { SOURCES } from "./metrics-fixture.ts";
import { createMetrics, type MetricsSources } from "./metrics.ts";

interface Metric {
  readonly type: string;
  readonly labels: readonly string[];
}

/** With a sink every metric has a series. */
const EVERYTHING: MetricsSources = {
  ...SOURCES,
  auditSinks: () => [{ name: "stdout", sentSeq: 1, backlog: 0, failure: null }],
};

/** By name: what a scrape exposes. A metric without a series is left out, but for its head. */
function exposed(text: string): Map<string, Metric> {
  const types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]): [string, string] => [name, type]),
  );
  const labels = new Map<string, Set<string>>();
  for (const [, series = "", inner = ""] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const name = types.has(series) ? series : series.replace(/_(bucket|sum|count)$/, "");
    const of = labels.get(name) ?? new Set();
    for (const [, label = ""] of inner.matchAll(/([a-z_]+)="/g)) if (label !== "le") of.add(label);
    labels.set(name, of);
  }
  return new Map(
    [...labels].map(([name, of]) => [name, { type: types.get(name) ?? "none", labels: [...of].toSorted() }]),
  );
}

/** By name: the rows of the table in docs/metrics.md. */
function documented(text: string): Map<string, Metric> {
  const rows = text.split("\n").filter((line) => /^\| `[a-z_]+` \|/.test(line));
  return new Map(
    rows.map((line) => {
      const [, name = "", type = "", labels = ""] = line.split("|").map((cell) => cell.trim());
      return [name.replaceAll("`", ""), { type, labels: labels.split(", ").filter(Boolean).toSorted() }];
    }),
  );
}

test("docs/metrics.md has every metric that is exposed, with its type and its labels, and no other", async () => {
  const text = await readFile(new URL("../../../../docs/metrics.md", import.meta.url), "utf8");
  const found = exposed(await createMetrics(EVERYTHING).text());
  const own = [...found].filter(([name]) => name.startsWith("holdover_"));
  expect(own.length).toBeGreaterThan(40);
  expect(Object.fromEntries(documented(text))).toEqual(Object.fromEntries(own));
  // The rest is the control process's own, and has a row for all.
  const others = [...found.keys()].filter((name) => !name.startsWith("holdover_"));
  expect(others.filter((name) => !/^(process|nodejs)_/.test(name))).toEqual([]);
});

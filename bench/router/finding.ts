import { cpus, loadavg, release, totalmem } from "node:os";
import { styleText } from "node:util";
import { median } from "./quantiles.ts";
import type { Row, Skipped } from "./row.ts";

/** One line of the table. */
export interface Finding {
  readonly what: string;
  readonly unit: string;
  /** Medians over the rounds. */
  readonly values: Readonly<Partial<Record<Row["name"], number>>>;
  /** Every round's value, in order. */
  readonly rounds: Readonly<Partial<Record<Row["name"], readonly number[]>>>;
  /** Holdover's value by each peer's; medians. */
  readonly ratios: Readonly<Partial<Record<Row["name"], number>>>;
  readonly target: Target | null;
  /** Null where there is no target, or no peer to compare with. */
  readonly reached: boolean | null;
  readonly detail?: Readonly<Record<string, number | string>>;
}

export interface Target {
  /** Holdover's own value, its ratio to the better of the peers, or its ratio to HAProxy. */
  readonly of: "value" | "ratio to the better peer" | "ratio to HAProxy";
  readonly limit: "≤" | "≥";
  readonly bound: number;
}

/** @param rounds each row's value in each round */
export function findingOf(
  what: string,
  unit: string,
  rounds: ReadonlyMap<Row["name"], readonly number[]>,
  target: Target | null,
  detail?: Finding["detail"],
): Finding {
  const values = Object.fromEntries([...rounds].map(([name, all]) => [name, median(all)])) as Finding["values"];
  const { holdover } = values;
  const ratios: Partial<Record<Row["name"], number>> = {};
  for (const name of ["haproxy", "nginx"] as const) {
    const value = values[name];
    if (value !== undefined && holdover !== undefined) ratios[name] = holdover / value;
  }
  const rest = detail ? { detail } : {};
  return {
    what,
    unit,
    values,
    rounds: Object.fromEntries(rounds),
    ratios,
    target,
    reached: isReached(target, holdover, ratios),
    ...rest,
  };
}

function isReached(target: Target | null, value: number | undefined, ratios: Finding["ratios"]): boolean | null {
  if (!target) return null;
  const compared = comparedValue(target, value, ratios);
  if (compared === undefined) return null;
  return target.limit === "≤" ? compared <= target.bound : compared >= target.bound;
}

function comparedValue(
  { of, limit }: Target,
  value: number | undefined,
  ratios: Finding["ratios"],
): number | undefined {
  if (of === "value") return value;
  if (of === "ratio to HAProxy") return ratios.haproxy;
  const all = Object.values(ratios);
  // The better peer is the one that we look worse beside.
  return all.length === 0 ? undefined : limit === "≤" ? Math.max(...all) : Math.min(...all);
}

/** Taken before anything is started: what else runs on the machine is in its load, and in every number. */
export function machine(): Record<string, string | number> {
  return {
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? "?",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: Number((loadavg()[0] ?? 0).toFixed(2)),
    kernel: release(),
    node: process.versions.node,
  };
}

const COLUMNS = ["what", "holdover", "peers", "ratio", "target", "reached"] as const;

/** The findings as a table for people, a line for each. */
export function tableOf(findings: readonly Finding[], skipped: readonly Skipped[], out: NodeJS.WriteStream): string {
  const cells = findings.map((finding) => [
    finding.what,
    finding.values.holdover === undefined ? "–" : `${short(finding.values.holdover)} ${finding.unit}`,
    peersCell(finding, skipped),
    Object.entries(finding.ratios)
      .map(([name, ratio]) => `${ratio.toFixed(2)} × ${name}`)
      .join(", ") || "–",
    finding.target
      ? `${finding.target.limit} ${finding.target.bound} ${finding.target.of === "value" ? finding.unit : "×"}`
      : "–",
    finding.reached === null ? "–" : finding.reached ? "yes" : "no",
  ]);
  const widths = COLUMNS.map((column, at) => Math.max(column.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  const lines = cells.map((row, at) => {
    const { reached } = findings[at] ?? {};
    return reached === false ? styleText("red", line(row), { stream: out }) : line(row);
  });
  return [styleText("bold", line(COLUMNS), { stream: out }), ...lines].join("\n");
}

function peersCell(finding: Finding, skipped: readonly Skipped[]): string {
  const known = (["direct", "haproxy", "nginx"] as const).flatMap((name) => {
    const value = finding.values[name];
    return value === undefined ? [] : [`${name} ${short(value)}`];
  });
  if (known.length === 0) return "–";
  return [...known, ...skipped.map(({ name }) => `${name} skipped`)].join(", ");
}

/** Three digits are more than the noise leaves. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "?";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

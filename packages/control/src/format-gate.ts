import type { z } from "zod";
import {
  findingsOf,
  findingText,
  HoldoverError,
  readTrialReport,
  type DataPlane,
  type DirectionReport,
  type formatTrialReport,
  type FormatTrialReport,
  type ReleaseFailure,
  type ReleaseRecord,
  type ServiceRecord,
  type TrialFinding,
} from "@holdover/core";

/** Findings that a failure tells of; the report has them all. */
const FINDINGS_TOLD = 3;

/** Whether the state of sessions may be on a release, or go back to it. */
export function getsOn({ state }: ReleaseRecord): boolean {
  return state.name === "current" || state.name === "ramping" || state.name === "retained";
}

/** Tries the formats of a release on what sessions keep, beside all others that run. @throws HoldoverError as the data plane does */
export async function tryRelease(
  dataPlane: DataPlane,
  service: ServiceRecord,
  release: string,
): Promise<FormatTrialReport> {
  const others = service.releases.filter((other) => other.id !== release && getsOn(other));
  return tryBeside(
    dataPlane,
    service.name,
    release,
    others.map(({ id }) => id),
  );
}

/** The same beside the releases that are named. */
export async function tryBeside(
  dataPlane: DataPlane,
  service: string,
  release: string,
  others: string[],
): Promise<FormatTrialReport> {
  return readTrialReport(await dataPlane.formats({ service, release, others }));
}

/** Why a release cannot go on with its deploy; null where it can. */
export function formatFailure(release: ReleaseRecord, report: FormatTrialReport): ReleaseFailure | null {
  const forward = findingsOf(report, "forward");
  if (forward.length > 0) return failureOf("FORMAT_INCOMPATIBLE", release.id, forward);
  const back = findingsOf(report, "back");
  if (back.length > 0 && !release.allowStateLoss) return failureOf("ROLLBACK_LOSES_STATE", release.id, back);
  return null;
}

function failureOf(
  code: "FORMAT_INCOMPATIBLE" | "ROLLBACK_LOSES_STATE",
  release: string,
  findings: readonly TrialFinding[],
): ReleaseFailure {
  const { message } = new HoldoverError(code, { release, problem: findingsText(findings) });
  const more = code === "ROLLBACK_LOSES_STATE" ? ". It goes on with --allow-state-loss" : "";
  return { code, problem: `${message}${more}`, log: [] };
}

/** The findings in words, the worst first. */
export function findingsText(findings: readonly TrialFinding[]): string {
  const more = findings.length - FINDINGS_TOLD;
  const told = findings.slice(0, FINDINGS_TOLD).map(findingText);
  return `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}

/** A report as the API shows it. */
export function reportView({ samples, untried, formats }: FormatTrialReport): z.output<typeof formatTrialReport> {
  const direction = ({ tried, failed, failures }: DirectionReport) => ({ tried, failed, failures: [...failures] });
  return {
    samples,
    untried: [...untried],
    formats: formats.map(({ format, forward, back }) => ({
      format,
      forward: direction(forward),
      back: back.map((one) => Object.assign(direction(one), { release: one.release })),
    })),
  };
}

/** What the audit log says of a trial: numbers alone. */
export function trialNumbers(report: FormatTrialReport): Record<string, string | number> {
  const { samples, untried, formats } = report;
  const forward = formats.map((format) => format.forward);
  const back = formats.flatMap((format) => format.back);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  return {
    samples,
    formats: formats.map(({ format }) => format).join(", "),
    forwardTried: sum(forward.map(({ tried }) => tried)),
    forwardFailed: sum(forward.map(({ failed }) => failed)),
    backTried: sum(back.map(({ tried }) => tried)),
    backFailed: sum(back.map(({ failed }) => failed)),
    ...(untried.length > 0 && { untried: untried.join(", ") }),
  };
}

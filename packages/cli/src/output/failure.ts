import { HoldoverError, type ErrorBody } from "@holdover/core";
import type { ReleaseView } from "../api-client.ts";
import { configIssuesOf, type ConfigIssue, type ConfigIssues } from "../config/issue.ts";
import { cut, printable } from "./table.ts";
import type { Terminal } from "../terminal.ts";

/** Lines of a source excerpt are cut here, and not shown at all where the mistake is further right. */
const EXCERPT_COLUMNS = 160;

type FailureBody = ErrorBody & { issues?: readonly ConfigIssue[]; log?: readonly string[] };

/**
 * An error as an object: what `--json` prints. A configuration's mistakes come with it, all of them, and the last lines
 * of the log of a release that failed.
 */
export function failureJson(error: HoldoverError): { error: FailureBody } {
  const found = configIssuesOf(error);
  const log = logOf(error);
  return { error: { ...error.body(), ...(found && { issues: found.issues }), ...(log.length > 0 && { log }) } };
}

/** A release that failed brings the last lines of its log along, as the cause of the error. */
function logOf({ code, cause }: HoldoverError): readonly string[] {
  return code === "RELEASE_FAILED" ? ((cause as Partial<ReleaseView> | undefined)?.failure?.log ?? []) : [];
}

/** An error for a person: what happened, what to do next, its code. On a terminal with the lines it is about. */
export function failureLines(error: HoldoverError, terminal: Pick<Terminal, "stderr">): string[] {
  const found = configIssuesOf(error);
  if (!found) return [error.message, ...logOf(error).map((line) => `  | ${printable(line)}`), error.next, error.code];
  const excerpts = terminal.stderr.isTTY === true;
  const [only, ...others] = found.issues;
  if (others.length === 0) {
    return [error.message, ...(excerpts ? excerpt(found, only) : []), error.next, error.code];
  }
  return [
    ...found.issues.flatMap((issue) => {
      const what = `${found.file}:${issue.line}:${issue.column}: ${issue.problem}`;
      return excerpts ? [what, ...excerpt(found, issue), `  ${issue.remedy}`] : [`${what}. ${issue.remedy}`];
    }),
    `Correct these ${found.issues.length} mistakes.`,
    error.code,
  ];
}

/** The line of the file, and a caret under what is meant. */
function excerpt({ text }: ConfigIssues, { line, column, length }: ConfigIssue): string[] {
  const source = text.split(/\r?\n/)[line - 1];
  if (source === undefined || source.trim() === "" || column > EXCERPT_COLUMNS) return [];
  // A tab is as wide as one character here, or the caret would point beside it.
  const shown = printable(cut(source.replaceAll("\t", " "), EXCERPT_COLUMNS));
  const number = String(line);
  const carets = "^".repeat(Math.max(1, Math.min(length, shown.length - column + 1)));
  return [` ${number} | ${shown}`, ` ${" ".repeat(number.length)} | ${" ".repeat(column - 1)}${carets}`];
}

import { HoldoverError } from "@holdover/core";

/** Line and column of a file, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong in a configuration, where, and what would be right. */
export interface ConfigIssue extends Position {
  /** How many characters it spans on its line, for a caret under it; at least 1. */
  readonly length: number;
  readonly problem: string;
  readonly remedy: string;
}

/** Keeps a refusal a refusal, should a mistake ever be found that nothing here has words for. */
const UNEXPLAINED: ConfigIssue = {
  line: 1,
  column: 1,
  length: 1,
  problem: "it does not follow the rules of holdover.yaml",
  remedy: "Compare it with the one that `holdover init` writes.",
};

/** All that is wrong with one file; the cause of a CONFIG_INVALID. */
export interface ConfigIssues {
  readonly file: string;
  readonly text: string;
  /** By line; at least one. */
  readonly issues: readonly [ConfigIssue, ...ConfigIssue[]];
}

/**
 * CONFIG_INVALID with the first issue in its details and all of them as its cause.
 * @param file as it is to be shown
 * @param issues at least one
 */
export function configInvalid(file: string, text: string, issues: readonly ConfigIssue[]): HoldoverError {
  const [first = UNEXPLAINED, ...rest] = issues;
  const cause: ConfigIssues = { file, text, issues: [first, ...rest] };
  const { line, column, problem, remedy } = first;
  const details = { where: `${file}:${line}:${column}`, problem, remedy, line, column, issues: 1 + rest.length };
  return new HoldoverError("CONFIG_INVALID", details, { cause });
}

/** What {@link configInvalid} put into an error; undefined for any other error. */
export function configIssuesOf(error: HoldoverError): ConfigIssues | undefined {
  const { cause } = error;
  return error.code === "CONFIG_INVALID" && typeof cause === "object" && cause !== null && "issues" in cause
    ? (cause as ConfigIssues)
    : undefined;
}

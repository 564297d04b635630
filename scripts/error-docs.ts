import { ERRORS } from "@holdover/core";

/** What stands in the place of `{name}` in the sentences of the table. A test fails when one is missing here. */
export const PLACEHOLDERS: Readonly<Record<string, string>> = {
  address: "host and port, as in `127.0.0.1:8080`",
  allowed: "the states that the release can go to from here",
  check: "the health check: an HTTP path, or that the port takes connections",
  command: "the program that `command` names",
  dir: "the path of a directory",
  expected: "what had to be typed as confirmation",
  fence: "the fence under which the session was held",
  file: "the path of a file",
  format: "the name of the session format",
  found: "the version that was found",
  from: "the state of the release now",
  host: "the host name of the request",
  how: "the exit code or the signal",
  instance: "the id of the instance: service, release and a number",
  key: "the session key",
  known: "what there is instead",
  left: "how many sessions are left",
  limit: "the most that is allowed",
  method: "the HTTP method",
  needed: "the role that the call needs",
  path: "the path of the request",
  period: "the time in which they are counted",
  place: "where the key stood: a header, a query parameter, a path or a cookie",
  problem: "what was wrong, in the words of whoever found it",
  reasons: "what the workers answered, and how many of them, or that there is no worker",
  release: "the id of the release",
  remedy: "what to write instead",
  role: "the role of the token",
  seq: "the number of the audit entry",
  service: "the name of the service",
  setting: "the setting in holdover.yaml",
  socket: "the path of the control socket",
  state: "the state of the release",
  stateDir: "the directory of `state:` in holdover.yaml",
  timeout: "how long it was waited for",
  to: "the state that was asked for",
  token: "the name of the token",
  tokenFile: "the path of the file that holds the token",
  version: "the version of the session format",
  where: "the file, with the line and column where they are known",
};

const cell = (text: string) => text.replaceAll("|", "\\|");

/** docs/errors.md, made from the error table alone. */
export function errorPage(): string {
  const rows = Object.entries(ERRORS).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    "# Errors",
    "",
    "<!-- Made by `node scripts/error-docs.ts > docs/errors.md`; do not edit. -->",
    "",
    "Every error that Holdover shows has a code, a sentence that says what happened, and one that says what to do next.",
    'The API answers with the HTTP status and `{ "error": { "code", "what", "next", "details" } }`; the command line prints',
    "both sentences and ends with the exit code: 1 it failed, 2 wrong usage or configuration, 3 Holdover is not reachable,",
    "4 refused in the present state.",
    "",
    "| Code | HTTP status | Exit code | What happened | What to do |",
    "|---|---|---|---|---|",
    ...rows.map(
      ([code, { status, exit, what, next }]) => `| \`${code}\` | ${status} | ${exit} | ${cell(what)} | ${cell(next)} |`,
    ),
    "",
    "What stands in braces is filled in:",
    "",
    "| In braces | Filled in with |",
    "|---|---|",
    ...Object.entries(PLACEHOLDERS).map(([name, meaning]) => `| \`{${name}}\` | ${cell(meaning)} |`),
    "",
  ].join("\n");
}

if (import.meta.main) process.stdout.write(errorPage());

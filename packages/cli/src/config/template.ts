import type { KeyPlace } from "@holdover/core";
import { stringify } from "yaml";
import type { SourceHints } from "../app/source-hints.ts";

export interface TemplateAnswers {
  readonly service: string;
  readonly command: string;
  readonly dir: string;
  readonly key: readonly KeyPlace[];
}

/**
 * A first holdover.yaml: what is needed, and what is worth knowing as comments with the defaults.
 * @param hints what the sources suggest: told in comments, and never taken by itself
 */
export function configTemplate({ service, command, dir, key }: TemplateAnswers, hints: SourceHints): string {
  const found = hints.keys.map(({ what, where }) => `      # ${flow([what])} # seen in ${where}\n`).join("");
  const health = hints.health
    ? `    # health: { path: ${hints.health.what} } # seen in ${hints.health.where}; where left out, a TCP connection is enough`
    : "    # health: { path: /health } # where left out, a TCP connection is enough";
  return `# What Holdover runs, and by which rules. All keys with their meaning: schema/holdover.schema.json

listen: 127.0.0.1:8080 # where clients connect
# api: 127.0.0.1:8090 # the control API; beyond loopback with \`apiTls\`
# state: .holdover # databases, snapshots, logs and sockets

# How long \`down\` or SIGTERM waits for live sessions to end; then they are cut.
# shutdownGrace: 25s

services:
  ${service}:
    # The program and its arguments; no shell. It has to listen on the port given in PORT.
    command: ${scalar(command)}
    # The directory of the build; \`holdover deploy --dir\` overrides it.
    dir: ${scalar(dir)}
    # The release that the very first \`holdover up\` makes current.
    release: v1
    # instances: 1
    # hosts: [app.example.com] # any host where left out

    session:
      # Where a request carries its session key; the first place that has one counts. Everybody with the same key reaches
      # the same process of the same release. Without any, HTTP gets a signed cookie, and an upgraded connection is a
      # session of its own.
      key: ${flow(key)}
${found || "      # [{ path: /rooms/:room }, { query: room }, { header: x-room }, { cookie: room }]\n"}      # How long a session without a connection keeps its place.
      linger: 60s

${health}

    # A command that must exit with 0 before a release gets traffic; HOLDOVER_URL is a fresh instance.
    # gate: { command: node check.js }

    # How long an old release stays: until at most this share of the sessions live at the cutover is left, at the latest
    # to the ceiling. With 0 nobody is cut before it. What is left then is asked to move, and cut after the grace.
    retention: { policy: budget, disruptionBudget: 0%, ceiling: 24h, floor: 5m, grace: 30s }
    # Other policies: quantile (of recent session lengths), fixed (a window), until-empty.
`;
}

/** A text as a YAML scalar on one line, quoted where it has to be. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, defaultStringType: "PLAIN", blockQuote: false }).trimEnd();
}

function flow(places: readonly KeyPlace[]): string {
  return stringify(places, { collectionStyle: "flow", lineWidth: 0 })
    .trimEnd()
    .replaceAll("[ ", "[")
    .replaceAll(" ]", "]");
}

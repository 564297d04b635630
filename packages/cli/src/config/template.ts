import { stringify } from "yaml";

export interface TemplateAnswers {
  service: string;
  command: string;
  dir: string;
}

/** A first holdover.yaml: what is needed, and what is worth knowing as comments with the defaults. */
export function configTemplate({ service, command, dir }: TemplateAnswers): string {
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
      # Where a request carries its session key; the first place that has one counts.
      # Without any, HTTP gets a signed cookie, and an upgraded connection is a session of its own.
      key: []
      # key: [{ path: /rooms/:room }, { query: room }, { header: x-room }, { cookie: room }]
      # How long a session without a connection keeps its place.
      linger: 60s

    # health: { path: /health } # where left out, a TCP connection is enough

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

import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatDuration, type AuditEntry, type HoldoverConfig } from "@holdover/core";
import { ApiClient } from "./api-client.ts";
import { startHost, type Addresses, type Host } from "./host-process.ts";
import { signInLink } from "./sign-in-link.ts";
import { createSignalCount } from "./signal-count.ts";
import { stateDirOf } from "./state-dir.ts";
import { VERSION } from "./version.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ForegroundOptions {
  readonly config: HoldoverConfig;
  readonly configDir: string;
  readonly stateDir: string;
  readonly json: boolean;
  readonly print: (line: string) => void;
  /** What is printed is seen by whoever started it, and kept nowhere. */
  readonly isTerminal: boolean;
  /** Tells a parent that waits for it. */
  readonly onReady: (addresses: Addresses) => void;
  /** Tells it that no new session is taken any more. */
  readonly onClosing: () => void;
}

/**
 * Runs a host in this process until a signal or `holdover down` ends it.
 * The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) waits for live sessions, the second cuts them, the third
 * leaves instances alone and goes: the next `up` adopts them. While it starts, the first ends it once it has started.
 * @returns the exit code
 * @throws HoldoverError what the host meets on its start
 */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const { config, json, print } = options;
  const say = (line: string): void => {
    if (!json) print(line);
  };
  const notice = (entry: AuditEntry): void => {
    const line = noticeOf(entry);
    if (line !== null) say(`${new Date(entry.atMs).toTimeString().slice(0, 8)}  ${line}`);
  };
  let signals = 0;
  const countSignal = createSignalCount();
  let host: Host | null = null;
  let closing = false;
  let nobodyThere = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    const number = countSignal(signal, performance.now());
    if (number === null) return;
    signals = number;
    if (signals > 2 || (!host && signals > 1)) process.exit(130);
    host?.close(signals > 1);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  // Whoever watches may go, with the terminal or as the end of a pipe: the sessions stay.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error").on("error", () => {});
  try {
    host = await startHost({
      config,
      configDir: options.configDir,
      stateDir: options.stateDir,
      onReady: async (addresses) => {
        if (json) print(JSON.stringify({ ready: true, pid: process.pid, ...addresses }));
        else print(banner(addresses, options, await wayIn(options)).join("\n"));
        options.onReady(addresses);
      },
      onNotice: (entry) => {
        // On the way out these are many, and told in one line.
        if (closing && entry.kind === "session.cut" && entry.detail?.["connectionsClosed"] === 0) nobodyThere += 1;
        else notice(entry);
      },
      onClosing: (live, how) => {
        closing = true;
        options.onClosing();
        if (live === 0) return say("Stopping.");
        const connections = `${live} live ${live === 1 ? "connection" : "connections"}`;
        if (how === "cut") return say(`Cutting ${connections}, within the disconnect cap.`);
        say(`Waiting up to ${formatDuration(config.shutdownGrace)} for ${connections} to end. Ctrl-C again cuts them.`);
      },
    });
    if (signals > 0) host.close(false);
    await host.closed;
    const lingering = `${nobodyThere} lingering ${nobodyThere === 1 ? "session" : "sessions"}`;
    say(nobodyThere === 0 ? "Stopped." : `Stopped. ${lingering}, with nobody connected, ended with their instances.`);
    return 0;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** How to see the dashboard: by a link, where it goes to a terminal and into no log. */
async function wayIn({ stateDir, isTerminal }: ForegroundOptions): Promise<string> {
  const command = "npx holdover dashboard";
  const state = stateDirOf(stateDir);
  const link = isTerminal ? await signInLink(new ApiClient(state.apiSocket), state).catch(() => null) : null;
  return link ? `${link.url}   works once, for 10 minutes; another: ${command}` : `${command}   makes a link to it`;
}

function banner(addresses: Addresses, { config, configDir }: ForegroundOptions, dashboard: string): string[] {
  const [[name, service] = ["SERVICE", undefined]] = Object.entries(config.services);
  const query = service?.session.key.find((place) => "query" in place);
  const example = query && service?.hosts.length === 0 ? `   try ${addresses.listen}/?${query.query}=lobby` : "";
  // The samples of this repository have their next release beside them.
  const next =
    service?.dir !== undefined && existsSync(join(configDir, `${service.dir}-v2`)) ? `${service.dir}-v2` : "DIR";
  return [
    `Holdover ${VERSION} is up.`,
    "",
    `  dashboard ${dashboard}`,
    `  clients   ${addresses.listen}${example}`,
    `  API       ${addresses.api}   token in ${addresses.tokenFile}; what it can do: ${addresses.api}/openapi.json`,
    "",
    "  In a second terminal:",
    `    npx holdover deploy ${name} --release v2 --dir ${next}`,
    "        ship; live sessions stay where they are",
    "    npx holdover status -w",
    "        what runs, and who is on it",
    `    npx holdover rollback ${name}`,
    "        go back, at once",
    "    npx holdover down",
    `        stop: waits up to ${formatDuration(config.shutdownGrace)} for live sessions, then cuts them`,
    "",
  ];
}

/** What a person who watches wants to know of an audit entry; null for the rest. */
function noticeOf(entry: AuditEntry): string | null {
  const release = `${entry.service ?? ""} ${entry.release ?? ""}`;
  switch (entry.kind) {
    case "release.starting":
      return `${release} is starting: ${entry.reason}`;
    case "release.ready":
      return `${release} is ready: ${entry.reason}`;
    case "release.ramping":
      return `${release} takes ${String(entry.detail?.["percent"])}% of the new sessions`;
    case "release.current":
      return `${release} is current: new sessions start on it`;
    case "release.retained":
      return `${release} is retained: its sessions finish on it`;
    case "release.expiring":
      return `${release} is expiring: ${entry.reason}`;
    case "release.retired":
      return `${release} is retired: ${entry.reason}`;
    case "release.failed":
      return `${release} failed: ${entry.reason}`;
    case "instance.lost":
      return `instance ${entry.instance ?? ""} is lost: ${entry.reason}`;
    case "session.lost":
    case "session.cut":
      return `session ${entry.session ?? ""} of ${release}: ${entry.reason}`;
    default:
      return null;
  }
}

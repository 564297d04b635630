import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { callApi, statusUntil, type ClusterStatus, type StatusCheck } from "./cluster-api.ts";
import { controlPidOf, gone, hostPidOf, MARKER, stateDirOf } from "./cluster-processes.ts";

export type { ClusterStatus, ReleaseStatus, ServiceStatus } from "./cluster-api.ts";

export const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));
const BIN = join(REPOSITORY, "node_modules", ".bin");
const NODE = join(BIN, "node");
const HOLDOVER = join(REPOSITORY, "packages", "cli", "bin", "holdover.js");
const REAPER = fileURLToPath(new URL("cluster-reaper.ts", import.meta.url));

const READY_MS = 30_000;
const UNTIL_MS = 20_000;
/** Lines of `holdover up` that are kept for the message of a failure. */
const LINES_KEPT = 50;

export interface ClusterOptions {
  /** The `services` of holdover.yaml. A relative `dir` is meant from the cluster's own directory. */
  readonly services: Readonly<Record<string, unknown>>;
  /** Whatever else stands at the top of holdover.yaml. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A whole Holdover on one machine, real processes and all. */
export interface Cluster {
  /** Where clients connect: `http://127.0.0.1:1234`. The port stays over {@link restart}. */
  readonly url: string;
  readonly apiUrl: string;
  /** The control API's unix socket: no token needed. */
  readonly apiSocket: string;
  /** Absolute; holdover.yaml is in it. */
  readonly directory: string;
  readonly stateDir: string;
  /** Runs a command of the CLI to its end: `run("deploy", "rooms", "--release", "v2")`. */
  run(...args: string[]): Promise<RunResult>;
  /** The same; returns what it wrote. @throws Error where the exit code is not 0 */
  succeed(...args: string[]): Promise<string>;
  /** The same with `--json`, parsed. @throws Error where the exit code is not 0 or the output no JSON */
  json<Answer>(...args: string[]): Promise<Answer>;
  /** One call of the API. @throws Error for every answer but 2xx */
  api<Answer>(method: string, path: string, body?: object): Promise<Answer>;
  status(): Promise<ClusterStatus>;
  /** Resolves with what `check` finds in the status, as soon as it finds something. @throws Error after `withinMs` */
  until<Found>(what: string, check: StatusCheck<Found>, withinMs?: number): Promise<Found>;
  hostPid(): Promise<number>;
  controlPid(): Promise<number>;
  /** Process ids of the instances that are alive, by instance id. */
  instancePids(): Promise<ReadonlyMap<string, number>>;
  /** Sends a signal to host, control or an instance. Resolves when it is sent, but for SIGKILL when the process is gone. */
  kill(which: "host" | "control" | { readonly instance: string }, signal?: NodeJS.Signals): Promise<void>;
  /** Starts `holdover up` again on the same directory and addresses, once the host has ended. */
  restart(): Promise<void>;
  /** The last lines that `holdover up` wrote. */
  output(): readonly string[];
  /** Ends every process of the cluster at once and removes its directory. */
  stop(): Promise<void>;
}

interface Addresses {
  readonly listen: string;
  readonly api: string;
}

/**
 * Starts `holdover up` on a new directory and resolves when it is ready. Whatever becomes of this process, all that
 * was started ends with it.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  // Under the repository's root, so that a snapshot in it finds the node_modules there.
  const directory = await mkdtemp(join(REPOSITORY, ".holdover-"));
  const reaper = spawn(NODE, [REAPER, directory], { stdio: ["pipe", "ignore", "inherit"], detached: true });
  const reaped = once(reaper, "exit");
  const stop = async () => {
    reaper.stdin.end();
    const [code] = (await reaped) as [number | null];
    if (code !== 0) throw new Error(`the cluster in ${directory} could not be cleaned up`);
  };
  try {
    return await startIn(directory, options, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startIn(directory: string, options: ClusterOptions, stop: () => Promise<void>): Promise<Cluster> {
  const stateDir = stateDirOf(directory);
  const apiSocket = join(stateDir, "run", "control.sock");
  const env = {
    ...process.env,
    ...options.env,
    PATH: `${BIN}${delimiter}${process.env["PATH"] ?? ""}`,
    [MARKER]: directory,
    NO_COLOR: "1",
  };
  const lines: string[] = [];
  let host: ChildProcess;

  const configure = (addresses: Addresses) => {
    const { services, config } = options;
    // JSON is YAML too.
    const yaml = JSON.stringify({ state: "state", ...addresses, ...config, services }, undefined, 2);
    return writeFile(join(directory, "holdover.yaml"), yaml);
  };
  const up = async (): Promise<Addresses> => {
    host = spawn(NODE, [HOLDOVER, "up"], { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [host.stdout, host.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        if (lines.length > LINES_KEPT) lines.shift();
      });
    }
    return addressesWhenReady(stateDir, host, lines);
  };
  const run = async (...args: string[]): Promise<RunResult> => {
    const child = spawn(NODE, [HOLDOVER, ...args], { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr, [code]] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      once(child, "close") as Promise<[number | null]>,
    ]);
    return { code, stdout, stderr };
  };
  const succeed = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    if (code !== 0) throw new Error(`holdover ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  const status = () => callApi<ClusterStatus>(apiSocket, "GET", "/v1/status");
  const instancePids = async () =>
    new Map(
      (await status()).services
        .flatMap(({ releases }) => releases.flatMap(({ instances }) => instances))
        .flatMap(({ id, pid }) => (pid === null ? [] : [[id, pid]])),
    );
  const pidOf = async (which: Parameters<Cluster["kill"]>[0]): Promise<number> => {
    const pid =
      which === "host"
        ? await hostPidOf(stateDir)
        : which === "control"
          ? await controlPidOf(stateDir)
          : (await instancePids()).get(which.instance);
    if (pid === undefined) throw new Error(`no process is known of ${JSON.stringify(which)}`);
    return pid;
  };

  await configure({ listen: "127.0.0.1:0", api: "127.0.0.1:0" });
  const { listen: url, api: apiUrl } = await up();
  return {
    url,
    apiUrl,
    apiSocket,
    directory,
    stateDir,
    run,
    succeed,
    json: async <Answer>(...args: string[]) => JSON.parse(await succeed(...args, "--json")) as Answer,
    api: (method, path, body) => callApi(apiSocket, method, path, body),
    status,
    until: (what, check, withinMs = UNTIL_MS) => statusUntil(apiSocket, what, check, withinMs),
    hostPid: () => pidOf("host"),
    controlPid: () => pidOf("control"),
    instancePids,
    async kill(which, signal = "SIGKILL") {
      const pid = await pidOf(which);
      process.kill(pid, signal);
      if (signal === "SIGKILL") await gone(pid);
    },
    async restart() {
      await ended(host);
      await rm(join(stateDir, "run", "addresses.json"), { force: true });
      await configure({ listen: new URL(url).host, api: new URL(apiUrl).host });
      await up();
    },
    output: () => lines,
    stop,
  };
}

/** Host writes its addresses when it is ready: that is the event. */
async function addressesWhenReady(stateDir: string, host: ChildProcess, lines: readonly string[]): Promise<Addresses> {
  const run = join(stateDir, "run");
  await mkdir(run, { recursive: true, mode: 0o700 });
  const over = new AbortController();
  const deadline = setTimeout(() => over.abort(new Error(`not ready within ${READY_MS} ms`)), READY_MS);
  const watcher = watch(run);
  const onExit = (code: number | null, signal: string | null) => over.abort(new Error(`ended with ${code ?? signal}`));
  host.once("exit", onExit);
  try {
    for (;;) {
      // Listening before looking: what is written in between is not missed.
      const change = once(watcher, "change", { signal: over.signal });
      const addresses = await readAddresses(join(run, "addresses.json"));
      if (addresses) {
        change.catch(() => {});
        return addresses;
      }
      await change;
    }
  } catch (cause) {
    const why = over.signal.aborted ? over.signal.reason : cause;
    throw new Error(`holdover up: ${String(why)}\n${lines.join("\n")}`, { cause });
  } finally {
    clearTimeout(deadline);
    host.off("exit", onExit);
    watcher.close();
    over.abort();
  }
}

async function readAddresses(file: string): Promise<Addresses | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Addresses;
  } catch {
    return undefined;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk as string;
  return text;
}

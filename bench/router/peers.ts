import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { haproxyConfig, nginxConfig, type PeerSetting } from "./peer-configs.ts";
import { childrenOf } from "./process-usage.ts";
import type { Row, Skipped } from "./row.ts";

const READY_MS = 5_000;
const LOOK_AGAIN_MS = 20;
/** Debian has both in sbin, which is not on everybody's PATH. */
const PATH = [process.env["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);

interface Peer {
  readonly name: "haproxy" | "nginx";
  readonly version: readonly string[];
  readonly titled: (output: string) => string;
  readonly config: (setting: PeerSetting) => string;
  readonly args: (file: string, directory: string) => readonly string[];
  /** The process through which connections pass. */
  readonly worker: (pid: number) => number[];
}

const PEERS: readonly Peer[] = [
  {
    name: "haproxy",
    version: ["-v"],
    titled: (output) => `HAProxy ${/version ([\d.]+)/.exec(output)?.[1] ?? "?"}`,
    config: haproxyConfig,
    args: (file) => ["-db", "-q", "-f", file],
    worker: (pid) => [pid],
  },
  {
    name: "nginx",
    version: ["-v"],
    titled: (output) => `nginx ${/nginx\/([\d.]+)/.exec(output)?.[1] ?? "?"}`,
    config: nginxConfig,
    args: (file, directory) => ["-p", directory, "-e", join(directory, "error.log"), "-c", file],
    worker: childrenOf,
  },
];

/** Starts every peer that is installed in front of an instance on loopback. */
export async function startPeers(instancePort: number): Promise<(Row | Skipped)[]> {
  const rows: (Row | Skipped)[] = [];
  for (const peer of PEERS) rows.push(await startPeer(peer, instancePort));
  return rows;
}

async function startPeer(peer: Peer, instancePort: number): Promise<Row | Skipped> {
  const { name } = peer;
  const version = spawnSync(name, peer.version, { encoding: "utf8", env: { ...process.env, PATH } });
  if (version.error) return { name, why: `not installed: apt-get install ${name === "nginx" ? "nginx-light" : name}` };
  const directory = mkdtempSync(join(tmpdir(), `holdover-bench-${name}-`));
  const file = join(directory, "peer.conf");
  const port = await freePort();
  writeFileSync(file, peer.config({ directory, port, instancePort, root: process.getuid?.() === 0 }));
  const child = spawn(name, peer.args(file, directory), {
    env: { ...process.env, PATH },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(child, "exit");
  // A benchmark that is ended from outside takes its peers along; SIGTERM is a fast shutdown for both.
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const kill = () => {
    child.kill("SIGTERM");
    remove();
  };
  process.once("exit", kill);
  const stop = async () => {
    process.off("exit", kill);
    child.kill("SIGTERM");
    await ended;
    remove();
  };
  try {
    await answers(port, () => child.exitCode !== null);
  } catch (thrown) {
    await stop();
    return { name, why: `${String(thrown)} ${said.trim()}` };
  }
  const title = peer.titled(`${version.stdout}${version.stderr}`);
  return { name, title, port, pids: peer.worker(child.pid ?? 0), stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Neither peer tells when it is ready, so it is asked until it answers. */
async function answers(port: number, ended: () => boolean): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline && !ended()) {
    const status = await new Promise<number | undefined>((resolve) => {
      get({ host: "127.0.0.1", port, path: "/healthz", agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).once("error", () => resolve(undefined));
    });
    if (status === 200) return;
    await delay(LOOK_AGAIN_MS);
  }
  throw new Error(ended() ? "it ended at once." : `it did not answer within ${READY_MS} ms.`);
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { MARKER } from "@holdover/testkit/cluster-processes";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";

/** Back-up and restore as docs/operating.md has them, with what was lost in between as lost as can be. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let cluster: Cluster;
let url: string;

beforeEach(async () => {
  const guide = await readFile(join(REPOSITORY, "docs/websocket-service.md"), "utf8");
  // It counts the messages of a room, and keeps the count by session.state.
  const [, server = ""] = /^```ts\n([^]*?)^```$/m.exec(guide) ?? [];
  cluster = await startCluster({
    services: { tally: { command: ["node", "server.ts"], session: { key: [{ query: "room" }] } } },
  });
  url = cluster.url;
  await mkdir(join(cluster.directory, "build"));
  await writeFile(join(cluster.directory, "build", "server.ts"), server);
  await cluster.succeed("deploy", "tally", "--release", "v1", "--dir", "build");
});

afterEach(() => cluster.stop());

/** One more for this room. Its count so far. */
async function count(room: string): Promise<number> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/?room=${room}`);
  try {
    await once(socket, "open");
    socket.send("count");
    const [data] = (await once(socket, "message")) as [Buffer];
    return (JSON.parse(data.toString()) as { count: number }).count;
  } finally {
    socket.terminate();
  }
}

/** The commands of a section of docs/operating.md, typed one after the other in the directory of the cluster. */
async function typeAsIn(section: string): Promise<string> {
  const guide = await readFile(join(REPOSITORY, "docs/operating.md"), "utf8");
  const [, body = ""] = new RegExp(`^## ${section}$([^]*?)^## `, "m").exec(guide) ?? [];
  const [, block = ""] = /^```\n([^]*?)^```$/m.exec(body) ?? [];
  expect(block).toContain("holdover ");
  const path = [join(REPOSITORY, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const child = spawn("sh", ["-exc", block.replaceAll(".holdover", "state")], {
    cwd: cluster.directory,
    env: { ...process.env, PATH: path, [MARKER]: cluster.directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** The machine goes up in smoke, with all that ran on it and all that it had stored. */
async function lose(): Promise<void> {
  const instances = [...(await cluster.instancePids()).values()];
  await cluster.kill("control");
  await cluster.kill("host");
  for (const pid of instances) process.kill(pid, "SIGKILL");
  await rm(cluster.stateDir, { recursive: true });
}

test("a backup that is written while sessions write brings releases, audit and what sessions keep back on an empty machine", async () => {
  await cluster.succeed("deploy", "tally", "--release", "v2", "--dir", "build");
  for (let n = 1; n <= 3; n++) expect(await count("lobby")).toBe(n);
  const enough = new AbortController();
  let counted = 0;
  const writing = (async () => {
    while (!enough.signal.aborted) counted = await count("busy");
  })();
  const said = await typeAsIn("Back up");
  const answered = counted;
  enough.abort();
  await writing;
  expect(said).toMatch(/^Wrote backup, with 2 releases\./);
  const copy = join(cluster.directory, "backup");
  expect((await readdir(copy)).toSorted()).toEqual(
    "api-token audit-key.pem audit-key.pub control.db cookie-secret host.db membership releases trust.json".split(" "),
  );
  expect((await stat(copy)).mode & 0o777).toBe(0o700);
  expect(await cluster.succeed("audit", "tail")).toMatch(/backup\.written {2}by operator:/);

  await lose();
  expect(await typeAsIn("Restore")).toContain("The audit chain is whole");
  ({ listen: url } = JSON.parse(await readFile(join(cluster.stateDir, "run", "addresses.json"), "utf8")) as {
    listen: string;
  });
  await cluster.until("both releases are back", ({ services: [tally] }) =>
    ["v1", "v2"].every((id) =>
      tally?.releases.some((release) => release.id === id && release.instances.some(({ state }) => state === "ready")),
    ),
  );
  expect((await cluster.status()).services[0]?.current).toBe("v2");
  expect(await count("lobby")).toBe(4);
  const again = await count("busy");
  expect(again).toBeGreaterThan(1);
  expect(again).toBeLessThanOrEqual(answered + 2);
  await cluster.succeed("rollback", "tally");
  expect((await cluster.status()).services[0]?.current).toBe("v1");
});

test("a backup never writes over what is there, and leaves nothing behind where it fails", async () => {
  await mkdir(join(cluster.directory, "mine"));
  const { code, stderr } = await cluster.run("backup", "mine");
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("BACKUP_FAILED") });
  expect(await readdir(join(cluster.directory, "mine"))).toEqual([]);
  // A database that cannot be copied where it is to be: the host is away.
  await cluster.kill("host", "SIGSTOP");
  const answer = cluster.run("backup", "half");
  await vi.waitFor(() => stat(join(cluster.directory, "half")));
  await cluster.kill("host", "SIGKILL");
  expect((await answer).code).not.toBe(0);
  await expect(stat(join(cluster.directory, "half"))).rejects.toMatchObject({ code: "ENOENT" });
});

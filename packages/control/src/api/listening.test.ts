import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createMemoryAuditLog,
  createMemoryOperations,
  createMemoryMembership,
  createMemorySigning,
  createMemoryTokenStore,
  send,
  startApi,
  TOKEN,
} from "./api-fixture.ts";
import { createApi, type Api } from "./api.ts";

let dir: string;
let made: Api[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-listen-"));
  made = [];
});
afterEach(async () => {
  await Promise.all(made.map((api) => api.close()));
  await rm(dir, { recursive: true, force: true });
});

async function listen(over: { socketPath?: string; host?: string; port?: number } = {}): Promise<{ url: string }> {
  const audit = createMemoryAuditLog();
  const api = await createApi({
    operations: createMemoryOperations(),
    audit,
    signing: createMemorySigning(audit),
    tokens: createMemoryTokenStore(audit),
    membership: createMemoryMembership(audit),
    token: TOKEN,
    tokenFile: "/state/token",
    page: join(dir, "no-page"),
    version: "1.2.3",
    ready: () => null,
    metrics: async () => "",
    copyStores: async () => {},
  });
  made.push(api);
  return api.listen({ socketPath: join(dir, "run", "control.sock"), host: "127.0.0.1", port: 0, ...over });
}

const health = async (socketPath: string) => (await send({ socketPath, path: "/healthz" })).status;

/** Leaves a socket file behind at which nobody listens any more. */
async function leaveStale(socketPath: string): Promise<void> {
  const server = createServer().listen({ path: `${socketPath}.before` });
  await once(server, "listening");
  // By its new name the file is not found, and so not removed, when its server closes.
  await rename(`${socketPath}.before`, socketPath);
  server.close();
  await once(server, "close");
}

async function leaveStaleByKill(socketPath: string): Promise<void> {
  const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  const child = spawn(process.execPath, ["-e", script, socketPath], { stdio: "ignore" });
  await once(child, "exit");
}

describe("the unix socket", () => {
  test("is a file of mode 0600 in a directory of mode 0700, whatever the mask of the process", async () => {
    const mask = process.umask(0);
    try {
      await listen();
    } finally {
      process.umask(mask);
    }
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(join(dir, "run"))).toBe("700");
    expect(await modeOf(join(dir, "run", "control.sock"))).toBe("600");
  });

  test("leaves the mode of a directory that was there alone, and is mode 0600 in it all the same", async () => {
    await chmod(dir, 0o755);
    await listen({ socketPath: join(dir, "control.sock") });
    expect((await stat(dir)).mode & 0o777).toBe(0o755);
    expect((await stat(join(dir, "control.sock"))).mode & 0o777).toBe(0o600);
  });

  test("takes the place of one whose process died", async () => {
    const socketPath = join(dir, "control.sock");
    await leaveStaleByKill(socketPath);
    expect((await stat(socketPath)).isSocket()).toBe(true);
    await listen({ socketPath });
    expect(await health(socketPath)).toBe(200);
    expect(await readdir(dir)).toEqual(["control.sock"]);
  });

  test("of a live process is not taken: ALREADY_RUNNING, and it goes on answering", async () => {
    const socketPath = join(dir, "control.sock");
    await listen({ socketPath });
    await expect(listen({ socketPath })).rejects.toMatchObject({ code: "ALREADY_RUNNING", details: { stateDir: dir } });
    expect(await health(socketPath)).toBe(200);
  });

  test("goes to one of two that start at once over a stale one, and that one answers", async () => {
    for (let round = 0; round < 20; round++) {
      const socketPath = join(dir, `control-${round}.sock`);
      await leaveStale(socketPath);
      const outcomes = await Promise.allSettled([1, 2].map(() => listen({ socketPath })));
      const failures = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [outcome.reason as unknown] : [],
      );
      expect(failures).toEqual([expect.objectContaining({ code: "ALREADY_RUNNING" })]);
      expect(await health(socketPath)).toBe(200);
    }
    expect(await readdir(dir)).toHaveLength(20);
  });

  test("does not take the place of a file that is no socket, nor of a link to one", async () => {
    const file = join(dir, "notes.txt");
    await writeFile(file, "keep me");
    await expect(listen({ socketPath: file })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    expect(await readFile(file, "utf8")).toBe("keep me");
    await symlink(file, join(dir, "link.sock"));
    await expect(listen({ socketPath: join(dir, "link.sock") })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });

  test("that cannot be made is told with its path and the setting", async () => {
    const socketPath = join(dir, "x".repeat(120), "control.sock");
    await expect(listen({ socketPath })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      details: { address: socketPath, setting: "state" },
    });
    await mkdir(join(dir, "sealed"));
    await writeFile(join(dir, "sealed", "file"), "");
    await expect(listen({ socketPath: join(dir, "sealed", "file", "control.sock") })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
    });
  });

  test("is gone after close()", async () => {
    const running = await startApi();
    await running.api.close();
    expect(await readdir(dirname(running.socketPath))).toEqual([]);
    await running.stop();
  });
});

describe("the TCP port", () => {
  test.each(["0.0.0.0", "::", "192.0.2.1", "example.com", "", "::ffff:127.0.0.1"])(
    "is not opened on %j, which is no loopback address",
    async (host) => {
      const socketPath = join(dir, "control.sock");
      await expect(listen({ host, socketPath })).rejects.toMatchObject({
        code: "LISTEN_FAILED",
        details: { setting: "api" },
      });
      // Both ways in, or none.
      expect(await readdir(dir)).toEqual([]);
    },
  );

  test("is opened on localhost as 127.0.0.1", async () => {
    const { url } = await listen({ host: "localhost" });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("that another process has is told: PORT_TAKEN, and the socket is given up again", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const socketPath = join(dir, "control.sock");
    await expect(listen({ port, socketPath })).rejects.toMatchObject({
      code: "PORT_TAKEN",
      details: { address: `127.0.0.1:${port}`, setting: "api" },
    });
    expect(await readdir(dir)).toEqual([]);
    other.close();
    await once(other, "close");
  });
});

import { once } from "node:events";
import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listenOnSocket } from "./unix-socket.ts";

/** What happens between the moment at which a socket is found to be stale and the one at which it is moved aside. */
const hook = vi.hoisted(() => ({ beforeRename: async () => {} }));
vi.mock("node:fs/promises", async (importOriginal) => {
  const original = await importOriginal<typeof import("node:fs/promises")>();
  return {
    ...original,
    rename: async (from: string, to: string) => {
      await hook.beforeRename();
      await original.rename(from, to);
    },
  };
});

let dir: string;
let socketPath: string;
const servers: Server[] = [];
const started = async (path: string) => {
  const server = createServer((connection) => connection.destroy()).listen({ path });
  servers.push(server);
  await once(server, "listening");
  return server;
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-socket-"));
  socketPath = join(dir, "control.sock");
  // By its new name the file is not found, and so not removed, when its server closes: it is stale from then on.
  const dead = await started(join(dir, "before.sock"));
  await rename(join(dir, "before.sock"), socketPath);
  dead.close();
  await once(dead, "close");
});
afterEach(async () => {
  hook.beforeRename = async () => {};
  for (const server of servers.splice(0)) {
    if (!server.listening) continue;
    server.close();
    await once(server, "close");
  }
  await rm(dir, { recursive: true });
});

test("a socket that somebody else made just before a stale one was moved aside is put back, and goes on answering", async () => {
  hook.beforeRename = async () => {
    hook.beforeRename = async () => {};
    await rm(socketPath);
    await started(socketPath);
  };
  const late = createServer();
  await expect(listenOnSocket(late, socketPath)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
  expect(late.listening).toBe(false);
  const connection = createConnection({ path: socketPath });
  await once(connection, "connect");
  connection.destroy();
  expect(await readdir(dir)).toEqual(["control.sock"]);
});

test("a stale socket that somebody else has just taken away is no reason to give up", async () => {
  hook.beforeRename = async () => {
    hook.beforeRename = async () => {};
    await rm(socketPath);
  };
  const server = createServer();
  servers.push(server);
  await listenOnSocket(server, socketPath);
  expect(server.listening).toBe(true);
});

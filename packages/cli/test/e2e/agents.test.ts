import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";

/** Agents in calls, by the example of this repository: real workers, and calls that the agents dial into. */

// Real processes, and several of them started anew, on whatever machine there is.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const EXAMPLE = join(REPOSITORY, "examples", "echo-agent");

interface Agent {
  readonly key: string;
  readonly fence: number;
  readonly release: string;
  readonly instance: string;
}

interface Opened {
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
}

/** A call with its agent in it. */
interface Call {
  readonly opened: Opened;
  readonly agent: Agent;
  /** Says something, and resolves with what comes back. */
  say(text: string): Promise<string>;
  hangUp(): Promise<void>;
}

let cluster: Cluster;
let callers: WebSocketServer;
let waiting: Map<string, (socket: WebSocket) => void>;

beforeEach(async () => {
  waiting = new Map();
  callers = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(callers, "listening");
  callers.on("connection", (socket, request) => waiting.get((request.url ?? "").slice(1))?.(socket));
  cluster = await startCluster({
    services: {
      echo: {
        dir: EXAMPLE,
        release: "v1",
        command: ["node", "agent.ts"],
        instances: 2,
        health: { worker: true },
        retention: { policy: "until-empty", floor: "0s" },
      },
    },
  });
  await isCurrent("v1");
});
afterEach(async () => {
  await cluster.stop();
  for (const socket of callers.clients) socket.terminate();
  await new Promise((resolve) => callers.close(resolve));
});

async function call(key: string): Promise<Call> {
  const { port } = callers.address() as AddressInfo;
  // It may have said who it is before whoever opened the session hears of it.
  const greeted = new Promise<WebSocket>((resolve) => waiting.set(key, resolve)).then(async (socket) => ({
    socket,
    agent: JSON.parse(await nextOf(socket)) as Agent,
  }));
  const body = { key, agent: "echo", payload: { url: `ws://127.0.0.1:${port}/${key}` } };
  const opened = await cluster.api<Opened>("POST", "/v1/services/echo/sessions", body);
  const { socket, agent } = await greeted;
  return {
    opened,
    agent,
    say: async (text) => {
      const back = nextOf(socket);
      socket.send(text);
      return back;
    },
    hangUp: async () => {
      const closed = once(socket, "close");
      socket.close(1000);
      await closed;
    },
  };
}

async function nextOf(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, "message")) as [Buffer];
  return String(data);
}

function isCurrent(release: string): Promise<unknown> {
  return cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release);
}

async function reasonOf(key: string): Promise<string> {
  return cluster.until(`${key} has ended`, async () => {
    const { sessions } = await cluster.api<{ sessions: { key: string; reason: string }[] }>("GET", "/v1/history");
    return sessions.find((one) => one.key === key)?.reason;
  });
}

test("a call ends on the release that it began on, by hanging up, and that release retires then", async () => {
  const old = await call("old");
  expect(old.agent).toEqual({ ...old.opened });
  await cluster.succeed("deploy", "echo", "--release", "v2", "--dir", EXAMPLE);
  await isCurrent("v2");
  const young = await call("young");
  expect([old.agent.release, young.agent.release]).toEqual(["v1", "v2"]);
  // The same key is the same session, wherever it lives.
  const again = await cluster.api<Opened>("POST", "/v1/services/echo/sessions", { key: "old" });
  expect(again).toEqual(old.opened);
  expect([await old.say("still there?"), await young.say("hello")]).toEqual(["still there?", "hello"]);
  await old.hangUp();
  expect(await reasonOf("old")).toBe("hangup");
  await cluster.until("v1 is retired", ({ services }) =>
    services[0]?.releases.some(({ id, state }) => id === "v1" && state === "retired"),
  );
  expect(await young.say("and now?")).toBe("and now?");
});

test("a worker that gets a SIGTERM runs its calls to hang-up, takes no other, and ends by itself", async () => {
  const kept = await call("kept");
  const { instance } = kept.opened;
  await cluster.kill({ instance }, "SIGTERM");
  // It may have been asked before it heard of its SIGTERM.
  await vi.waitFor(async () => expect((await call(`other-${Math.random()}`)).opened.instance).not.toBe(instance));
  const others = await Promise.all(["a", "b", "c", "d"].map((key) => call(key)));
  expect(others.filter((other) => other.opened.instance === instance)).toEqual([]);
  expect(await kept.say("still there?")).toBe("still there?");
  expect((await cluster.instancePids()).has(instance)).toBe(true);
  await kept.hangUp();
  expect(await reasonOf("kept")).toBe("hangup");
  await cluster.until(`${instance} has ended`, async () => !(await cluster.instancePids()).has(instance));
  const { instances } = await cluster.api<{ instances: { id: string; problem: string | null }[] }>(
    "GET",
    "/v1/instances",
  );
  expect(instances.find(({ id }) => id === instance)?.problem).toBe("exit code 0");
});

test("a crash of the host in the middle of a call is not heard, and the session is the same afterwards", async () => {
  const long = await call("long");
  await cluster.kill("host");
  expect(await long.say("still there?")).toBe("still there?");
  await cluster.restart();
  expect(await long.say("and now?")).toBe("and now?");
  const again = await vi.waitFor(() => cluster.api<Opened>("POST", "/v1/services/echo/sessions", { key: "long" }), {
    timeout: 20_000,
  });
  expect(again).toEqual(long.opened);
  await long.hangUp();
  expect(await reasonOf("long")).toBe("hangup");
  expect((await call("next")).agent.release).toBe("v1");
});

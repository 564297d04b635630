import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { get } from "node:http";
import type { Clock } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { watchLife } from "./health-watch.ts";
import { createSandbox, startReady, systemClock, untilEnded, type Sandbox } from "./sandbox.ts";

describe("checks in a row", () => {
  const endings: (() => void)[] = [];
  afterEach(() => {
    for (const end of endings.splice(0)) end();
  });

  /** A server that answers its connections as written, one letter each: `.` an answer, `-` silence. Then no more come. */
  async function serving(script: string): Promise<{ server: Server; port: number; checks: () => number }> {
    let checks = 0;
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
      if (script[checks++] === ".") socket.end("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
      else socket.resume();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    endings.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const address = server.address();
    return { server, port: typeof address === "object" && address ? address.port : 0, checks: () => checks };
  }

  const health = { path: "/health", startTimeout: 1000, interval: 20, timeout: 250 };

  test.each([
    ["---", [1, 2, 3]],
    [".--.---", [1, 2, 1, 2, 3]],
    ["-.-.-.---", [1, 1, 1, 1, 2, 3]],
  ])("%s: lost with the last of them, not before", async (script, told) => {
    const { port, checks } = await serving(script);
    const silent: number[] = [];
    const watch = new AbortController();
    endings.push(() => watch.abort());
    const watched = { port, pid: process.pid, health };
    const problem = await watchLife(watched, systemClock, watch.signal, (inARow) => silent.push(inARow));
    expect(problem).toBe("it gave no sign of life within 250ms, 3 checks in a row");
    expect(checks()).toBe(script.length);
    expect(silent).toEqual(told);
  });

  test("a port that nobody listens on any more is three refused connections", async () => {
    const { server, port } = await serving("");
    server.close();
    await once(server, "close");
    const silent: number[] = [];
    const watched = { port, pid: process.pid, health };
    const watch = new AbortController();
    endings.push(() => watch.abort());
    const problem = await watchLife(watched, systemClock, watch.signal, (inARow) => silent.push(inARow));
    expect(problem).toBe(`PORT ${port} refuses connections, 3 checks in a row`);
    expect(silent).toEqual([1, 2, 3]);
  });

  test("the interval runs from one check to the next, not from the end of one", async () => {
    const { port } = await serving("---");
    const asked: string[] = [];
    const clock: Clock = {
      now: () => Date.now(),
      after: (ms, run) => {
        asked.push(ms === health.interval ? "interval" : "timeout");
        return systemClock.after(ms, run);
      },
    };
    const watch = new AbortController();
    endings.push(() => watch.abort());
    await watchLife({ port, pid: process.pid, health }, clock, watch.signal, () => undefined);
    expect(asked).toEqual(["interval", "interval", "timeout", "interval", "timeout", "interval", "timeout"]);
  });
});

describe("a process that hangs", () => {
  const health = { path: "/health", startTimeout: 10_000, interval: 100, timeout: 1000 };
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox();
  });
  afterEach(() => sandbox.dispose());

  const silentChecks = (): unknown[] =>
    sandbox.events.filter(({ event }) => event === "instance-silent").map(({ detail }) => detail["checks"]);

  test("is lost with the third check, where its event loop is blocked", async () => {
    const platform = sandbox.platform();
    await platform.adopt();
    const one = await startReady(platform, sandbox.spec("serve", { health }));
    const asked = get({ host: one.host, port: one.port, path: "/hang", agent: false }).on("error", () => undefined);
    const { state } = await untilEnded(platform, one.id);
    asked.destroy();
    expect(state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY", signal: "SIGKILL" } });
    expect(silentChecks()).toEqual([1, 2, 3]);
  });

  test("and goes on after the second check is not lost, and the next hang is counted anew", async () => {
    const platform = sandbox.platform();
    await platform.adopt();
    // The platform itself does not look: its own watch would be a second one.
    const one = await startReady(platform, sandbox.spec("serve", { health: { ...health, interval: 600_000 } }));
    const pid = Number(one.pid);
    const checks = async (): Promise<number> =>
      Number(await (await fetch(`http://${one.host}:${one.port}/checks`)).text());
    const before = await checks();
    const silent: number[] = [];
    const { promise: goesOn, resolve } = Promise.withResolvers<void>();
    const watch = new AbortController();
    process.kill(pid, "SIGSTOP");
    const verdict = watchLife({ port: one.port, pid, health }, systemClock, watch.signal, (inARow) => {
      silent.push(inARow);
      if (silent.length !== 2) return;
      process.kill(pid, "SIGCONT");
      resolve();
    });
    await goesOn;
    // The two that it missed, which it answers now to nobody, and two more.
    while ((await checks()) < before + 4) await new Promise((next) => void setTimeout(next, 20));
    expect(silent).toEqual([1, 2]);
    process.kill(pid, "SIGSTOP");
    expect(await verdict).toContain("3 checks in a row");
    expect(silent).toEqual([1, 2, 1, 2, 3]);
    watch.abort();
  });
});

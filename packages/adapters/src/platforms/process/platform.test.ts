import { readFile, readdir, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { isAlive, type Clock } from "@holdover/core";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ProcessPlatform } from "./platform.ts";
import { factsOf } from "./process-table.ts";
import { createSandbox, startReady, systemClock, told, untilEnded, type Sandbox } from "./sandbox.ts";

let sandbox: Sandbox;
let platform: ProcessPlatform;

beforeEach(async () => {
  sandbox = await createSandbox();
  platform = sandbox.platform();
  await platform.adopt();
});

afterEach(async () => {
  await sandbox.dispose();
});

const SHORT = { startTimeout: 800, interval: 100, timeout: 300 };
const HANGS_SOON = { path: "/health", startTimeout: 10_000, interval: 100, timeout: 300 };
const isLinux = process.platform === "linux";

describe("what it says of an instance that does not get healthy", () => {
  interface Found {
    readonly error: string | null;
    readonly signal: string | null;
    readonly problem: string;
    readonly port: number;
    readonly log: string;
  }
  /** All at once, and long before the end of their time: what each one does has to be under way by then. */
  const health = { startTimeout: 4000, interval: 100, timeout: 300 };
  const wanted = {
    "listen-elsewhere": { path: "/health", behaviour: "listen-elsewhere" },
    "listen-nowhere": { behaviour: "listen-nowhere" },
    "listen-ipv6": { behaviour: "listen-ipv6" },
    unhealthy: { path: "/health", behaviour: "unhealthy" },
    slow: { path: "/hang", behaviour: "serve" },
  };
  const found = new Map<string, Found>();

  beforeAll(async () => {
    const shared = await createSandbox();
    try {
      const platform = shared.platform();
      await platform.adopt();
      const cases = Object.entries(wanted).map(async ([name, { behaviour, ...path }]) => {
        const spec = shared.spec(behaviour, { health: { ...health, ...path } });
        await platform.start(spec);
        const { state, port, logFile } = await untilEnded(platform, spec.id);
        if (state.name !== "lost") throw new Error(`${name} is ${state.name}`);
        const { error, signal, problem } = state.exit;
        found.set(name, { error, signal, problem, port, log: await readFile(logFile, "utf8") });
      });
      await Promise.all(cases);
    } finally {
      await shared.dispose();
    }
  });

  function of(name: keyof typeof wanted): Found {
    const one = found.get(name);
    if (!one) throw new Error(`${name} was not tried`);
    return one;
  }

  test("INSTANCE_UNHEALTHY, and that it was killed", () => {
    expect(found.size).toBe(5);
    for (const one of found.values()) expect(one).toMatchObject({ error: "INSTANCE_UNHEALTHY", signal: "SIGKILL" });
  });

  test.runIf(isLinux)("the port that it listens on in place of PORT", () => {
    const { problem, port, log } = of("listen-elsewhere");
    expect(problem).toBe(`it listens on ${/port (\d+)/.exec(log)?.[1]} and not on PORT ${port}`);
  });

  test.runIf(isLinux)("that it listens on nothing", () => {
    const { problem, port } = of("listen-nowhere");
    expect(problem).toBe(`it listens on nothing; PORT is ${port}`);
  });

  test.runIf(isLinux)("the address that it listens on in place of HOST", () => {
    const { problem, port } = of("listen-ipv6");
    expect(problem).toBe(`it listens on [::1]:${port}, where 127.0.0.1 (given in HOST) does not arrive`);
  });

  test("the status that its health check answered", () => {
    expect(of("unhealthy").problem).toBe("GET /health answered 500");
  });

  test("that its health check was not answered in time", () => {
    expect(of("slow").problem).toBe("GET /hang was not answered within 300ms");
  });

  test("how it exited, when it did", async () => {
    const spec = sandbox.spec("exit");
    await platform.start(spec);
    const { state, logFile } = await untilEnded(platform, spec.id);
    expect(state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED", problem: "exit code 3" } });
    expect(await readFile(logFile, "utf8")).toBe("no database\n");
  });

  test("that its command cannot be run", async () => {
    const spec = sandbox.spec("serve", { command: ["no-such-program-anywhere"] });
    await platform.start(spec);
    const { state, pid } = await untilEnded(platform, spec.id);
    expect(pid).toBeNull();
    expect(state).toHaveProperty("exit.problem", expect.stringMatching(/could not be started: .*ENOENT/));
  });
});

test.runIf(isLinux)("another process that answers on an instance's port does not make it healthy", async () => {
  const spec = sandbox.spec("listen-nowhere", { health: { ...SHORT, path: "/health" } });
  await platform.start(spec);
  const port = platform.instances()?.[0]?.port;
  const stranger = createServer((_, response) => response.writeHead(200, { connection: "close" }).end());
  await new Promise<void>((resolve) => void stranger.listen(port, "127.0.0.1", resolve));
  try {
    const { state, readyAtMs } = await untilEnded(platform, spec.id);
    expect(readyAtMs).toBe(0);
    expect(state).toHaveProperty("exit.problem", expect.stringContaining(`PORT ${port} is answered by`));
    expect(state).toHaveProperty("exit.problem", expect.stringContaining(`(pid ${process.pid})`));
  } finally {
    stranger.closeAllConnections();
    await new Promise((resolve) => stranger.close(resolve));
  }
});

describe("a hang after ready", () => {
  test("is seen with a health path, and the process is killed", async () => {
    const one = await startReady(platform, sandbox.spec("serve", { health: HANGS_SOON }));
    process.kill(Number(one.pid), "SIGSTOP");
    const { state } = await untilEnded(platform, one.id);
    expect(state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY", signal: "SIGKILL" } });
    expect(state).toHaveProperty("exit.problem", "it gave no sign of life within 300ms, 3 checks in a row");
  });

  test.runIf(isLinux)("is seen without a health path, although the kernel goes on taking connections", async () => {
    const one = await startReady(platform, sandbox.spec("serve", { health: { ...HANGS_SOON, path: undefined } }));
    process.kill(Number(one.pid), "SIGSTOP");
    const { state } = await untilEnded(platform, one.id);
    expect(state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY", signal: "SIGKILL" } });
  });

  test("is not seen where it is draining: it has until the end of its grace", async () => {
    const one = await startReady(platform, sandbox.spec("stubborn"));
    await platform.stop(one.id, 1500);
    process.kill(Number(one.pid), "SIGSTOP");
    const { state } = await untilEnded(platform, one.id);
    expect(state).toMatchObject({ name: "stopped", exit: { error: null, signal: "SIGKILL" } });
    expect(state).toHaveProperty("exit.problem", expect.stringContaining("within its grace"));
  });
});

describe("the group of an instance", () => {
  async function childrenOf(logFile: string, count: number): Promise<number[]> {
    for (;;) {
      const pids = (await readFile(logFile, "utf8")).match(/(?<=^child )\d+$/gm) ?? [];
      if (pids.length === count) return pids.map(Number);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function gone(pids: number[]): Promise<void> {
    while (pids.some((pid) => factsOf(pid)?.defunct === false)) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  test("is killed as a whole when its leader crashes", async () => {
    const one = await startReady(platform, sandbox.spec("leave-children"));
    const children = await childrenOf(one.logFile, 2);
    process.kill(Number(one.pid), "SIGKILL");
    expect((await untilEnded(platform, one.id)).state).toMatchObject({ name: "lost", exit: { signal: "SIGKILL" } });
    await gone(children);
  });

  test("is killed as a whole at the end of the grace, when the leader has long gone", async () => {
    const one = await startReady(platform, sandbox.spec("leave-children"));
    const children = await childrenOf(one.logFile, 2);
    await platform.stop(one.id, 700);
    const { state } = await untilEnded(platform, one.id);
    expect(state).toMatchObject({ name: "stopped", exit: { code: 0, error: null } });
    await gone(children);
  });

  test.runIf(isLinux)("keeps its grace when the leader goes first, as a shell does", async () => {
    const one = await startReady(platform, sandbox.spec("busy-child"));
    await platform.stop(one.id, 20_000);
    const { state } = await untilEnded(platform, one.id);
    expect(state).toMatchObject({ name: "stopped", exit: { code: 0, problem: "exit code 0" } });
    expect(await readFile(one.logFile, "utf8")).toContain("work done");
  });
});

describe("stop", () => {
  test("asked for again can only bring the end nearer", async () => {
    const one = await startReady(platform, sandbox.spec("stubborn"));
    await platform.stop(one.id, 60_000);
    await platform.stop(one.id, 90_000);
    await platform.stop(one.id, 100);
    expect((await untilEnded(platform, one.id)).state.name).toBe("stopped");
    expect((await readFile(one.logFile, "utf8")).match(/no/g)).toHaveLength(1);
  });

  test("of a stopped process (SIGSTOP) ends it after the grace", async () => {
    const one = await startReady(platform, sandbox.spec("serve"));
    process.kill(Number(one.pid), "SIGSTOP");
    await platform.stop(one.id, 200);
    expect((await untilEnded(platform, one.id)).state.name).toBe("stopped");
  });

  test("stopAll ends every instance, one that is being started too, and starts no more", async () => {
    const one = await startReady(platform, sandbox.spec("serve"));
    const late = sandbox.spec("listen-nowhere");
    const started = platform.start(late);
    await platform.stopAll(5000);
    await started;
    expect(platform.instances()?.map(({ id, state }) => [id, state.name])).toEqual([
      [one.id, "stopped"],
      [late.id, "stopped"],
    ]);
    await expect(platform.start(sandbox.spec("serve"))).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

describe("on disk", () => {
  test("logs and records are for their owner alone, and no record holds the environment", async () => {
    const spec = sandbox.spec("serve", { env: { BEHAVIOUR: "serve", TOKEN: "the-secret-of-the-service" } });
    const one = await startReady(platform, spec);
    expect(one.logFile).toBe(join(sandbox.stateDir, "logs", "web", "v1", `${one.id}.log`));
    const record = join(sandbox.stateDir, "instances", `${one.id}.json`);
    for (const file of [one.logFile, record]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const dir of ["logs", "logs/web", "logs/web/v1", "instances"]) {
      expect((await stat(join(sandbox.stateDir, dir))).mode & 0o777).toBe(0o700);
    }
    expect(await readFile(record, "utf8")).not.toContain("the-secret-of-the-service");
  });

  test("the last ten ended instances of a release are kept with their logs, and older ones go", async () => {
    const alive = await startReady(platform, sandbox.spec("serve"));
    const ended: string[] = [];
    for (let count = 0; count < 12; count += 1) {
      const spec = sandbox.spec("exit");
      await platform.start(spec);
      ended.push((await untilEnded(platform, spec.id)).id);
    }
    const kept = [alive.id, ...ended.slice(2)];
    expect(platform.instances()?.map(({ id }) => id)).toEqual(kept);
    await platform.close();
    const names = (dir: string): Promise<string[]> => readdir(join(sandbox.stateDir, dir));
    const next = sandbox.platform();
    await next.adopt();
    expect(next.instances()?.map(({ id }) => id)).toEqual(kept);
    expect((await names("instances")).sort()).toEqual(kept.map((id) => `${id}.json`).sort());
    expect((await names("logs/web/v1")).sort()).toEqual(kept.map((id) => `${id}.log`).sort());
  });

  test("close leaves the instances alive and tells nothing more", async () => {
    const one = await startReady(platform, sandbox.spec("serve"));
    let calls = 0;
    platform.subscribe(() => (calls += 1));
    await platform.close();
    expect((await told(one)).pid).toBe(one.pid);
    process.kill(Number(one.pid), "SIGKILL");
    while (factsOf(Number(one.pid)) !== null) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(calls).toBe(0);
  });

  test("the log of an instance that writes much is rotated while it writes on", async () => {
    await platform.close();
    const hasty: Clock = { now: () => Date.now(), after: (ms, run) => systemClock.after(ms === 10_000 ? 20 : ms, run) };
    platform = sandbox.platform(hasty);
    await platform.adopt();
    const spec = sandbox.spec("write", {
      env: { BEHAVIOUR: "write", LINES: "150000" },
      health: { startTimeout: 9000, interval: 1000, timeout: 1000 },
    });
    const one = await startReady(platform, spec);
    // The last rotation may come just after the last line, which then is the end of the older file.
    const endsThere = async (file: string): Promise<boolean> =>
      (await readFile(file, "utf8").catch(() => "")).endsWith("the end\n");
    while (!(await endsThere(one.logFile)) && !(await endsThere(`${one.logFile}.1`))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await vi.waitFor(() => expect(sandbox.events.map(({ event }) => event)).toContain("log-rotated"));
    expect((await stat(`${one.logFile}.1`)).size).toBeGreaterThan(10 * 1024 * 1024);
    expect((await stat(one.logFile)).size).toBeLessThan(10 * 1024 * 1024);
  });
});

test("an instance inherits the host's environment, but not what concerns the host alone", async () => {
  await platform.close();
  const environment = sandbox.environment as Record<string, string | undefined>;
  Object.assign(environment, { DATABASE_URL: "postgres://here", HOLDOVER_TOKEN: "secret", NOTIFY_SOCKET: "/run/x" });
  platform = sandbox.platform();
  await platform.adopt();
  const one = await startReady(platform, sandbox.spec("serve"));
  const { env, cwd } = await told(one);
  expect(env).toMatchObject({ DATABASE_URL: "postgres://here", PWD: sandbox.snapshot, HOST: "127.0.0.1" });
  expect(env).not.toHaveProperty("HOLDOVER_TOKEN");
  expect(env).not.toHaveProperty("NOTIFY_SOCKET");
  expect(cwd).toBe(sandbox.snapshot);
});

test("nothing is started before adopt(), nor under an id that could leave its directory", async () => {
  const early = sandbox.platform();
  await expect(early.start(sandbox.spec("serve"))).rejects.toMatchObject({ code: "INTERNAL" });
  await expect(platform.start(sandbox.spec("serve", { id: "../web" }))).rejects.toMatchObject({ code: "INTERNAL" });
  expect(platform.instances()?.filter(isAlive)).toEqual([]);
});

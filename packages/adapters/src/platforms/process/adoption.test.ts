import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isAlive, type Instance, type InstanceSpec } from "@holdover/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { factsOf } from "./process-table.ts";
import type { InstanceRecord } from "./records.ts";
import { createSandbox, startReady, told, until, untilEnded, type Sandbox } from "./sandbox.ts";

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await sandbox.dispose();
});

const recordFile = (id: string): string => join(sandbox.stateDir, "instances", `${id}.json`);

async function recordOf(id: string): Promise<InstanceRecord> {
  return JSON.parse(await readFile(recordFile(id), "utf8")) as InstanceRecord;
}

async function changeRecord(id: string, change: (record: InstanceRecord) => InstanceRecord): Promise<void> {
  await writeFile(recordFile(id), JSON.stringify(change(await recordOf(id))));
}

/** A host process that starts instances and is then killed with SIGKILL. */
async function instancesOfKilledHost(specs: InstanceSpec[]): Promise<Instance[]> {
  const script = fileURLToPath(new URL("adoption-host.ts", import.meta.url));
  const host = spawn(process.execPath, [script, JSON.stringify({ stateDir: sandbox.stateDir, specs })], {
    env: sandbox.environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [told] = (await once(host.stdout, "data")) as [Buffer];
  host.kill("SIGKILL");
  await once(host, "exit");
  return JSON.parse(told.toString()) as Instance[];
}

/** An instance that runs while nobody looks after it. */
async function leftRunning(behaviour: string, changes: Partial<InstanceSpec> = {}): Promise<Instance> {
  const first = sandbox.platform();
  await first.adopt();
  const one = await startReady(first, sandbox.spec(behaviour, changes));
  await first.close();
  return one;
}

test("after kill -9 of the host its instances run on, and the next host adopts, checks and stops them", async () => {
  const before = await instancesOfKilledHost([sandbox.spec("serve"), sandbox.spec("serve")]);
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()).toEqual(before);
  for (const one of before) expect((await told(one)).pid).toBe(one.pid);
  const [first, second] = before as [Instance, Instance];

  await platform.stop(first.id, 5000);
  const ended = await untilEnded(platform, first.id);
  expect(ended.state).toMatchObject({ name: "stopped", exit: { code: null, signal: null, error: null } });
  expect(factsOf(Number(first.pid))?.defunct ?? true).toBe(true);

  process.kill(Number(second.pid), "SIGKILL");
  const lost = await untilEnded(platform, second.id);
  expect(lost.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED", code: null } });
  expect(lost.state).toHaveProperty("exit.problem", expect.stringContaining("not known"));
});

test("an adopted instance that hangs is lost, and is killed", async () => {
  const one = await leftRunning("serve");
  const platform = sandbox.platform();
  await platform.adopt();
  process.kill(Number(one.pid), "SIGSTOP");
  const ended = await untilEnded(platform, one.id);
  expect(ended.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY" } });
  expect(factsOf(Number(one.pid))?.defunct ?? true).toBe(true);
});

test("an instance that starts while the host dies gets ready under the next host", async () => {
  const first = sandbox.platform();
  await first.adopt();
  const spec = sandbox.spec("serve");
  await first.start(spec);
  await first.close();
  const platform = sandbox.platform();
  await platform.adopt();
  const ready = await until(platform, spec.id, ({ state }) => state.name === "ready");
  expect((await told(ready)).env["HOLDOVER_INSTANCE"]).toBe(spec.id);
});

test("a spawn that was under way when the host died is found by its token", async () => {
  const one = await leftRunning("serve");
  await changeRecord(one.id, (record) => ({
    ...record,
    startTime: null,
    instance: { ...record.instance, pid: null, readyAtMs: 0, state: { name: "starting", sinceMs: 1 } },
  }));
  const platform = sandbox.platform();
  await platform.adopt();
  const ready = await until(platform, one.id, ({ state }) => state.name === "ready");
  expect(ready.pid).toBe(one.pid);
  await platform.stop(one.id, 5000);
  expect((await untilEnded(platform, one.id)).state.name).toBe("stopped");
});

test("a spawn that never came about is lost", async () => {
  const one = await leftRunning("serve");
  process.kill(Number(one.pid), "SIGKILL");
  await gone(Number(one.pid));
  await changeRecord(one.id, (record) => ({ ...record, startTime: null, instance: { ...record.instance, pid: null } }));
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()?.[0]?.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED" } });
});

test("an instance that ended while no host ran is lost at once, and its exit code is said not to be known", async () => {
  const one = await leftRunning("serve");
  process.kill(Number(one.pid), "SIGKILL");
  await gone(Number(one.pid));
  const platform = sandbox.platform();
  await platform.adopt();
  const found = platform.instances()?.[0];
  expect(found?.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED", code: null, signal: null } });
  expect(found?.state).toHaveProperty("exit.problem", expect.stringContaining("exit code is not known"));
  expect((await recordOf(one.id)).instance).toEqual(found);
});

test("a pid that belongs to another process by now is neither adopted nor signalled", async () => {
  const one = await leftRunning("serve");
  const bystander = spawn("sleep", ["60"], { env: sandbox.environment, detached: true });
  const pid = Number(bystander.pid);
  try {
    await changeRecord(one.id, (record) => ({ ...record, instance: { ...record.instance, pid } }));
    const platform = sandbox.platform();
    await platform.adopt();
    expect(platform.instances()?.[0]?.state.name).toBe("lost");
    await platform.stop(one.id, 0);
    await platform.stopAll(0);
    expect(factsOf(pid)?.defunct).toBe(false);
  } finally {
    bystander.kill("SIGKILL");
    await once(bystander, "exit");
  }
});

test("what a dead leader left behind is killed when the next host comes", async () => {
  const one = await leftRunning("leave-children");
  const children = await childrenIn(one.logFile, 2);
  process.kill(Number(one.pid), "SIGKILL");
  await gone(Number(one.pid));
  for (const child of children) expect(factsOf(child)?.defunct).toBe(false);
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()?.[0]?.state.name).toBe("lost");
  await Promise.all(children.map(gone));
});

test("a stop that the old host began is brought to its end by the next one", async () => {
  const first = sandbox.platform();
  await first.adopt();
  const one = await startReady(first, sandbox.spec("stubborn"));
  await first.stop(one.id, 600);
  await first.close();
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()?.[0]?.state.name).toBe("draining");
  const ended = await untilEnded(platform, one.id);
  expect(ended.state).toMatchObject({ name: "stopped", exit: { error: null } });
  // "no" is what it says to each SIGTERM: the second host has not sent it again.
  expect((await readFile(one.logFile, "utf8")).match(/no/g)).toHaveLength(1);
});

test("a stop whose instance ended while no host ran is stopped and not lost", async () => {
  const first = sandbox.platform();
  await first.adopt();
  const one = await startReady(first, sandbox.spec("stubborn"));
  await first.stop(one.id, 60_000);
  await first.close();
  process.kill(Number(one.pid), "SIGKILL");
  await gone(Number(one.pid));
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()?.[0]?.state).toMatchObject({ name: "stopped", exit: { error: null, code: null } });
});

test("a record that cannot be read is moved aside, told, and keeps nothing else from being adopted", async () => {
  const one = await leftRunning("serve");
  await writeFile(recordFile("web-v1-broken"), '{ "format": 1, "instance": { "id": "web-v1-broken", "pid": 1 } }');
  const platform = sandbox.platform();
  await platform.adopt();
  expect(platform.instances()?.map(({ id }) => id)).toEqual([one.id]);
  expect(platform.instances()?.every(isAlive)).toBe(true);
  expect(await readdir(join(sandbox.stateDir, "instances"))).toContain("web-v1-broken.json.unreadable");
  expect(sandbox.events.some(({ event }) => event === "record-unreadable")).toBe(true);
});

test("the port of an adopted instance is not given to another", async () => {
  const one = await leftRunning("serve");
  const platform = sandbox.platform();
  await platform.adopt();
  const others = Array.from({ length: 3 }, () => sandbox.spec("serve"));
  await Promise.all(others.map((spec) => platform.start(spec)));
  const ports = platform.instances()?.map(({ port }) => port) ?? [];
  expect(new Set(ports).size).toBe(4);
  expect(ports[0]).toBe(one.port);
});

async function gone(pid: number): Promise<void> {
  while (factsOf(pid)?.defunct === false) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function childrenIn(logFile: string, count: number): Promise<number[]> {
  for (;;) {
    const pids = (await readFile(logFile, "utf8")).match(/(?<=^child )\d+$/gm) ?? [];
    if (pids.length === count) return pids.map(Number);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

import { get } from "node:http";
import {
  HoldoverError,
  isAlive,
  toInstanceState,
  type Instance,
  type InstanceSpec,
  type Platform,
} from "@holdover/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** A platform as the suite needs it. Made anew for each test. */
export interface PlatformUnderTest {
  readonly platform: Platform;
  /** What a spec names as its snapshot; `node instance.js` has to run there (packages/testkit/apps). */
  readonly snapshot: string;
  /** Lets the platform look at what is there. Before it, nothing is known. */
  open(): Promise<void>;
  /** A spec that cannot even be tried on this platform. */
  impossible(spec: InstanceSpec): Promise<InstanceSpec>;
  /** Ends the process of an instance from outside, as a crash of it would. */
  crash(instance: Instance): Promise<void>;
  /** Ends the platform and every process it began. Called after each test, a failed one too. */
  dispose(): Promise<void>;
}

const HEALTH = { path: "/health", startTimeout: 10_000, interval: 100, timeout: 1000 };

/** What every `Platform` of core has to keep, one test a sentence. */
export function describePlatform(name: string, create: () => Promise<PlatformUnderTest>): void {
  describe(`${name}, as a Platform`, () => {
    let subject: PlatformUnderTest;
    let platform: Platform;
    let ordinal = 0;

    beforeEach(async () => {
      subject = await create();
      platform = subject.platform;
    });

    afterEach(async () => {
      await subject.dispose();
    });

    function spec(behaviour: string, changes: Partial<InstanceSpec> = {}): InstanceSpec {
      ordinal += 1;
      return {
        id: `web-v1-${ordinal}`,
        service: "web",
        release: "v1",
        snapshot: subject.snapshot,
        command: ["node", "instance.js"],
        env: { BEHAVIOUR: behaviour },
        health: HEALTH,
        ...changes,
      };
    }

    async function startReady(behaviour: string, changes: Partial<InstanceSpec> = {}): Promise<Instance> {
      const wanted = spec(behaviour, changes);
      await platform.start(wanted);
      return until(platform, wanted.id, (one) => one.state.name === "ready");
    }

    test("instances() MUST be null until the platform knows, and MUST NOT be an empty list instead", async () => {
      expect(platform.instances()).toBeNull();
      await subject.open();
      expect(platform.instances()).toEqual([]);
    });

    describe("starting", () => {
      beforeEach(() => subject.open());

      test("start MUST resolve with the instance in instances(), as starting, with its address", async () => {
        const wanted = spec("listen-nowhere");
        await platform.start(wanted);
        const one = instanceOf(platform, wanted.id);
        expect(one).toMatchObject({ id: wanted.id, service: "web", release: "v1", readyAtMs: 0 });
        expect(one.state.name).toBe("starting");
        expect(one.host).not.toBe("");
        expect(one.port).toBeGreaterThan(0);
      });

      test("an instance MUST become ready once it is healthy, and then answers at its address", async () => {
        const one = await startReady("serve");
        expect(one.readyAtMs).toBeGreaterThanOrEqual(one.startedAtMs);
        expect((await ask(one, "/")).status).toBe(200);
      });

      test("a service without a health path MUST become ready once it takes connections", async () => {
        const { startTimeout, interval, timeout } = HEALTH;
        const one = await startReady("serve", { health: { startTimeout, interval, timeout } });
        expect((await ask(one, "/")).status).toBe(200);
      });

      test("the process MUST find its variables, its address and its names in its environment", async () => {
        const one = await startReady("serve", { env: { BEHAVIOUR: "serve", GREETING: "good day", PORT: "1" } });
        const { env } = await told(one);
        expect(env).toMatchObject({
          GREETING: "good day",
          PORT: String(one.port),
          HOLDOVER_SERVICE: "web",
          HOLDOVER_RELEASE: "v1",
          HOLDOVER_INSTANCE: one.id,
        });
        expect(env["HOST"]).toBeTruthy();
      });

      test("instances that are started at the same time MUST NOT share an address", async () => {
        const wanted = Array.from({ length: 5 }, () => spec("listen-nowhere"));
        await Promise.all(wanted.map((one) => platform.start(one)));
        const addresses = wanted.map(({ id }) => instanceOf(platform, id)).map((one) => `${one.host}:${one.port}`);
        expect(new Set(addresses).size).toBe(5);
      });

      test("start MUST do nothing for an id that runs", async () => {
        const one = await startReady("serve");
        const { boot } = await told(one);
        await platform.start({ ...spec("exit"), id: one.id });
        expect(instanceOf(platform, one.id)).toBe(one);
        expect((await told(one)).boot).toBe(boot);
      });

      test("start MUST do nothing for an id that is being started", async () => {
        const wanted = spec("serve");
        await Promise.all([platform.start(wanted), platform.start(wanted), platform.start(wanted)]);
        expect(platform.instances()).toHaveLength(1);
        await until(platform, wanted.id, (one) => one.state.name === "ready");
      });

      test("start MUST do nothing for an id that has ended", async () => {
        const wanted = spec("exit");
        await platform.start(wanted);
        const ended = await until(platform, wanted.id, (one) => !isAlive(one));
        await platform.start({ ...wanted, env: { BEHAVIOUR: "serve" } });
        expect(instanceOf(platform, wanted.id)).toBe(ended);
      });

      test("start MUST throw a HoldoverError where it cannot even be tried, and MUST NOT leave an instance", async () => {
        const wanted = await subject.impossible(spec("serve"));
        await expect(platform.start(wanted)).rejects.toBeInstanceOf(HoldoverError);
        expect(platform.instances()).toEqual([]);
      });
    });

    describe("failing", () => {
      beforeEach(() => subject.open());

      test("an instance that ends before it is healthy MUST be lost with INSTANCE_EXITED and how it ended", async () => {
        const wanted = spec("exit");
        await platform.start(wanted);
        const one = await until(platform, wanted.id, (one) => !isAlive(one));
        expect(one.readyAtMs).toBe(0);
        expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED", code: 3, signal: null } });
        expect(problemOf(one)).toContain("3");
      });

      test("an instance whose command cannot be run MUST be lost with INSTANCE_EXITED", async () => {
        const wanted = spec("serve", { command: ["./no-such-program"] });
        await platform.start(wanted);
        const one = await until(platform, wanted.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED" } });
        expect(problemOf(one)).not.toBe("");
      });

      test.each(["listen-nowhere", "listen-elsewhere", "unhealthy"])(
        "an instance that is not healthy in time (%s) MUST be lost with INSTANCE_UNHEALTHY and MUST NOT have been ready",
        async (behaviour) => {
          const wanted = spec(behaviour, { health: { ...HEALTH, startTimeout: 1000 } });
          const seen = record(platform, wanted.id);
          await platform.start(wanted);
          const one = await until(platform, wanted.id, (one) => !isAlive(one));
          expect(seen.names()).toEqual(["starting", "lost"]);
          expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY" } });
          expect(problemOf(one)).not.toBe("");
        },
      );

      test("a ready instance that crashes MUST be lost with INSTANCE_EXITED", async () => {
        const ready = await startReady("serve");
        await subject.crash(ready);
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED" } });
        expect(one.readyAtMs).toBe(ready.readyAtMs);
      });

      test("a ready instance that exits MUST be lost with its exit code", async () => {
        const ready = await startReady("serve");
        await ask(ready, "/crash").catch(() => undefined);
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_EXITED", code: 7 } });
      });

      test("a ready instance that hangs MUST be lost with INSTANCE_UNHEALTHY and MUST NOT run on", async () => {
        const ready = await startReady("serve");
        const hanging = ask(ready, "/hang").catch(() => "cut");
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "lost", exit: { error: "INSTANCE_UNHEALTHY" } });
        expect(await hanging).toBe("cut");
      });

      test("a ready instance whose health check answers 500 MUST NOT be taken for dead", async () => {
        const ready = await startReady("serve");
        await ask(ready, "/fail");
        const before = await checksOf(ready);
        while ((await checksOf(ready)) < before + 5) await new Promise((resolve) => setTimeout(resolve, 50));
        expect(instanceOf(platform, ready.id).state.name).toBe("ready");
      });
    });

    describe("stopping", () => {
      beforeEach(() => subject.open());

      test("stop MUST resolve when the instance is draining, and its end is observed as stopped, without an error", async () => {
        const ready = await startReady("slow-stop");
        const seen = record(platform, ready.id);
        await platform.stop(ready.id, 10_000);
        expect(instanceOf(platform, ready.id).state.name).toBe("draining");
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "stopped", exit: { code: 0, signal: null, error: null } });
        expect(seen.names()).toEqual(["ready", "draining", "stopped"]);
      });

      test("an instance that does not end by itself MUST be killed after its grace", async () => {
        const ready = await startReady("stubborn");
        await platform.stop(ready.id, 300);
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "stopped", exit: { error: null } });
        await expect(ask(one, "/")).rejects.toBeInstanceOf(Error);
      });

      test("an instance that starts MUST be stopped as well", async () => {
        const wanted = spec("listen-nowhere");
        await platform.start(wanted);
        await platform.stop(wanted.id, 5000);
        const one = await until(platform, wanted.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "stopped", exit: { error: null } });
      });

      test("an instance that ends by itself while it drains MUST be stopped and MUST NOT be lost", async () => {
        const ready = await startReady("stubborn");
        await platform.stop(ready.id, 20_000);
        await subject.crash(ready);
        const one = await until(platform, ready.id, (one) => !isAlive(one));
        expect(one.state).toMatchObject({ name: "stopped", exit: { error: null } });
      });

      test("stop MUST do nothing for an instance that has ended, nor for one that is not known", async () => {
        const wanted = spec("exit");
        await platform.start(wanted);
        const ended = await until(platform, wanted.id, (one) => !isAlive(one));
        await platform.stop(wanted.id, 1000);
        await platform.stop("web-v1-9999", 1000);
        expect(platform.instances()).toEqual([ended]);
      });

      test("stopping one instance MUST NOT touch another", async () => {
        const [one, other] = await Promise.all([startReady("serve"), startReady("serve")]);
        const { boot } = await told(other);
        await platform.stop(one.id, 5000);
        await until(platform, one.id, (one) => !isAlive(one));
        expect(instanceOf(platform, other.id)).toBe(other);
        expect((await told(other)).boot).toBe(boot);
      });
    });

    describe("observing", () => {
      beforeEach(() => subject.open());

      test("instances() MUST tell the last ended ones of each release, and every one alive", async () => {
        const alive = await startReady("serve");
        const other = spec("exit", { id: "web-v0-1", release: "v0" });
        await platform.start(other);
        await until(platform, other.id, (one) => !isAlive(one));
        const ended: string[] = [];
        for (let count = 0; count < 12; count += 1) {
          const wanted = spec("exit");
          ended.push(wanted.id);
          await platform.start(wanted);
          await until(platform, wanted.id, (one) => !isAlive(one));
        }
        const ids = platform.instances()?.map(({ id }) => id);
        expect(ids).toEqual(expect.arrayContaining([alive.id, other.id, ...ended.slice(-10)]));
      });

      test("subscribe MUST call back after every change, when instances() already tells it", async () => {
        const wanted = spec("serve");
        const seen = record(platform, wanted.id);
        await platform.start(wanted);
        await until(platform, wanted.id, (one) => one.state.name === "ready");
        await platform.stop(wanted.id, 5000);
        await until(platform, wanted.id, (one) => !isAlive(one));
        expect(seen.names()).toEqual(["starting", "ready", "draining", "stopped"]);
      });

      test("a subscription that has ended MUST NOT be called, and the others MUST go on", async () => {
        let calls = 0;
        const end = platform.subscribe(() => (calls += 1));
        let others = 0;
        platform.subscribe(() => (others += 1));
        end();
        await startReady("serve");
        expect(calls).toBe(0);
        expect(others).toBeGreaterThanOrEqual(2);
      });

      test("an Instance that was given out MUST NOT change afterwards", async () => {
        const wanted = spec("serve");
        await platform.start(wanted);
        const before = platform.instances();
        const copy = structuredClone(before);
        await until(platform, wanted.id, (one) => one.state.name === "ready");
        expect(before).toEqual(copy);
      });
    });
  });
}

/** Waits for an instance to be as wanted. The test's own time limit ends it. */
function until(platform: Platform, id: string, wanted: (instance: Instance) => boolean): Promise<Instance> {
  return new Promise((resolve) => {
    const look = (): void => {
      const one = platform.instances()?.find((instance) => instance.id === id);
      if (!one || !wanted(one)) return;
      end();
      resolve(one);
    };
    const end = platform.subscribe(look);
    look();
  });
}

/** Notes every state an instance is seen in, and that each step is one that DESIGN allows. */
function record(platform: Platform, id: string): { names(): string[] } {
  const seen: Instance[] = [];
  const look = (): void => {
    const one = platform.instances()?.find((instance) => instance.id === id);
    const before = seen.at(-1);
    if (!one || one.state.name === before?.state.name) return;
    seen.push(before ? toInstanceState(before, one.state) : one);
  };
  platform.subscribe(look);
  look();
  return { names: () => seen.map((one) => one.state.name) };
}

function instanceOf(platform: Platform, id: string): Instance {
  const one = platform.instances()?.find((instance) => instance.id === id);
  if (!one) throw new Error(`instance ${id} is not known to the platform`);
  return one;
}

function problemOf({ state }: Instance): string {
  return state.name === "lost" || state.name === "stopped" ? state.exit.problem : "";
}

function ask(instance: Instance, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: instance.host, port: instance.port, path, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

async function told(instance: Instance): Promise<{ boot: string; env: Record<string, string> }> {
  return JSON.parse((await ask(instance, "/")).body) as { boot: string; env: Record<string, string> };
}

async function checksOf(instance: Instance): Promise<number> {
  return Number((await ask(instance, "/checks")).body);
}

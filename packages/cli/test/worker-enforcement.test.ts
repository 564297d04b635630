import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defineSessionFormat, type SignedText } from "@holdover/core";
import { joinHoldover, type Holdover } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { newKey, RawWorker, type Identity } from "../../router/test/raw-worker.ts";
import { at, routed, WorkerWorld } from "./worker-world.ts";

const counter = defineSessionFormat({ name: "counter", version: 1, schema: z.number() });

/** A service whose one session runs: a WebSocket that counts in its state. */
interface Running {
  readonly holdover: Holdover;
  readonly warned: string[];
  /** Sends a message, and waits for its count, which the store has then. */
  count(): Promise<number>;
  close(): Promise<void>;
}

let world: WorkerWorld;
let app: Running;
const raw: RawWorker[] = [];

beforeEach(async () => {
  world = new WorkerWorld();
  await world.open();
  app = await startApp();
});
afterEach(async () => {
  for (const worker of raw.splice(0)) await worker.break();
  await app.close();
  await world.close();
});

async function startApp(): Promise<Running> {
  const warned: string[] = [];
  const env = await world.start("rooms.v1-1");
  const holdover = await joinHoldover({ env, signals: false, warn: (text) => warned.push(text) });
  const server: Server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    const session = holdover.sessionOf(request);
    const count = async (): Promise<void> => {
      const next = ((await session?.state.read(counter)) ?? 0) + 1;
      await session?.state.write(counter, next);
      socket.send(JSON.stringify(next));
    };
    socket.on("message", () => void count());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  world.apply(routed("v1", "new", [at("rooms.v1-1", (server.address() as AddressInfo).port)]));
  const client = new WebSocket(`ws://${world.url}/?room=a`);
  await once(client, "open");
  return {
    holdover,
    warned,
    count: async () => {
      client.send("count");
      const [data] = (await once(client, "message")) as [Buffer];
      return Number(data.toString());
    },
    close: async () => {
      client.terminate();
      await holdover.close();
      sockets.close();
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      await once(server, "close");
    },
  };
}

function dial(identity: Partial<Identity>): RawWorker {
  const worker = new RawWorker(world.socketPath, {
    instance: "rooms.v1-2",
    key: newKey(),
    token: null,
    certificate: null,
    clockMs: Date.now,
    ...identity,
  });
  raw.push(worker);
  return worker;
}

/** Says hello, and tries to get a session whatever it is told; why it was refused, once that is audited. */
async function refusal(worker: RawWorker): Promise<unknown> {
  const hello = await worker.helloTo(await worker.next("challenge"), { takesJobs: true });
  worker.send(hello);
  worker.send({ type: "call", id: 1, call: { name: "open", key: "stolen", label: null } });
  const { error } = await worker.next("refused", ({ final }) => final);
  await worker.closed;
  await audited(worker.identity.instance, error.details["reason"]);
  expect(await world.session("stolen")).toBeUndefined();
  const request = { service: "rooms", key: "job", agent: "echo", tenant: null, label: null, payload: null };
  await expect(world.router.workers.open(request)).rejects.toMatchObject({ code: "WORKER_NONE" });
  return error.details["reason"];
}

async function audited(instance: string, reason: unknown): Promise<void> {
  await vi.waitFor(async () => {
    const told = (await world.audited("worker.rejected")).map((entry) => [entry.instance, entry.detail?.["reason"]]);
    expect(told).toContainEqual([instance, reason]);
  });
}

/** What ran before goes on: the same connection, the same fence, its state is written. */
async function untouched(work: () => Promise<void>): Promise<void> {
  expect(await app.count()).toBe(1);
  const before = await world.session("a");
  await work();
  expect(await app.count()).toBe(2);
  expect(await app.count()).toBe(3);
  expect(await world.session("a")).toMatchObject({ fence: before?.fence, instance: "rooms.v1-1", state: "open" });
  expect(world.router.workers.linked("rooms").map(({ member }) => member.instance)).toEqual(["rooms.v1-1"]);
}

describe("gets no session, is audited, and what runs is untouched:", () => {
  test("a leftover worker of a retired release, with its old token and with the certificate that it once had", async () => {
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("rooms.v0-1", { service: "rooms", release: "v0" });
    const key = newKey();
    const old = dial({ instance: "rooms.v0-1", key, token });
    const { certificate } = await old.join();
    await old.break();
    world.running.delete("rooms.v0-1");
    await untouched(async () => {
      expect(await refusal(dial({ instance: "rooms.v0-1", token }))).toBe("unknown-instance");
      expect(await refusal(dial({ instance: "rooms.v0-1", key, certificate }))).toBe("unknown-instance");
    });
  });

  test("one that says with an old token that it is an instance which runs", async () => {
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("rooms.v0-1", { service: "rooms", release: "v0" });
    world.running.delete("rooms.v0-1");
    await untouched(async () => {
      expect(await refusal(dial({ instance: "rooms.v1-1", token }))).toBe("token");
      // Its instance's id is used again, by a newer release.
      world.running.set("rooms.v0-1", { service: "rooms", release: "v1" });
      expect(await refusal(dial({ instance: "rooms.v0-1", token }))).toBe("other-service");
      expect(await refusal(dial({ instance: "rooms.v1-1", token: "holdover_join_guessed" }))).toBe("token");
    });
  });

  test("a token that another process has used", async () => {
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("rooms.v1-2");
    const first = dial({ token });
    await first.join();
    await first.break();
    await untouched(async () => expect(await refusal(dial({ token }))).toBe("token"));
  });

  test("a hello that was taken from another link, and is replayed", async () => {
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("rooms.v1-2");
    const victim = dial({ token });
    const hello = await victim.helloTo(await victim.next("challenge"));
    victim.send(hello);
    await victim.next("welcome");
    await victim.break();
    await untouched(async () => {
      const thief = dial({});
      await thief.next("challenge");
      thief.send(hello);
      expect((await thief.next("refused")).error.code).toBe("MEMBER_REJECTED");
      await thief.closed;
      await audited("rooms.v1-2", "proof");
    });
  });

  test("a certificate of another service, of another instance, and of another key", async () => {
    const other = { service: "calls", release: "v1" };
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("calls.v1-1", other);
    const key = newKey();
    const calls = dial({ instance: "calls.v1-1", key, token });
    const { certificate } = await calls.join();
    await calls.break();
    await world.start("rooms.v1-2");
    const { HOLDOVER_JOIN_TOKEN: second = "" } = await world.start("rooms.v1-3");
    const third = dial({ instance: "rooms.v1-3", key, token: second });
    const { certificate: ofThird } = await third.join();
    await third.break();
    await untouched(async () => {
      expect(await refusal(dial({ key, certificate }))).toBe("other-service");
      expect(await refusal(dial({ key, certificate: ofThird }))).toBe("certificate");
      expect(await refusal(dial({ instance: "rooms.v1-3", certificate: ofThird }))).toBe("certificate");
    });
  });

  test.each([-10, 10])("a clock %d minutes off", async (minutes) => {
    const { HOLDOVER_JOIN_TOKEN: token = "" } = await world.start("rooms.v1-2");
    await untouched(async () => {
      expect(await refusal(dial({ token, clockMs: () => Date.now() + minutes * 60_000 }))).toBe("clock");
    });
    // With the right time it comes in: its token was not used up.
    await dial({ token }).join();
  });

  test("a forged table and an older one: neither the host nor a worker follows", async () => {
    const show = (signed: SignedText): void => {
      for (const { link } of world.router.workers.linked("rooms")) link?.send({ type: "table", table: signed });
    };
    const older = world.membership.table;
    world.apply(...world.router.table().services.flatMap(({ releases }) => releases));
    const takesNone = [routed("v1", "none", [at("rooms.v1-1")])];
    const forged = world.forgedTable(world.number + 1, takesNone);
    await untouched(async () => {
      for (const signed of [forged, older].filter((one) => one !== null)) {
        const { number } = world.router.table();
        expect(() => world.membership.accept(signed, number)).toThrow("A routing table was refused");
        show(signed);
      }
      await vi.waitFor(async () => expect((await world.audited("worker.rejected")).length).toBe(2));
      await audited("rooms.v1-1", "table");
    });
    expect(app.holdover.admission).toBe("new");
    expect(app.warned.filter((text) => text.includes("is not followed"))).toHaveLength(2);
  });
});

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { joinRoom, type RoomClient } from "./room-client.ts";
import { openLedger, type RoomLedger } from "./room-ledger.ts";

const clients: RoomClient[] = [];
const servers: ChildProcess[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(
    servers.splice(0).map(async (server) => {
      if (server.exitCode !== null || server.signalCode !== null) return;
      server.kill("SIGKILL");
      await once(server, "close");
    }),
  );
});

async function startRooms(example: "rooms" | "rooms-v2"): Promise<{ url: string; server: ChildProcess }> {
  const directory = fileURLToPath(new URL(`../../../examples/${example}`, import.meta.url));
  const server = spawn(process.execPath, ["server.js"], {
    cwd: directory,
    env: { ...process.env, PORT: "0", HOLDOVER_RELEASE: example, HOLDOVER_INSTANCE: `${example}-1` },
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(server);
  const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const url = /http:\S+/.exec(line)?.[0];
  if (!url) throw new Error(`no address in ${line}`);
  return { url, server };
}

async function join(url: string, ledger: RoomLedger, name: string): Promise<RoomClient> {
  const client = await joinRoom({ url, name, ledger });
  clients.push(client);
  return client;
}

describe.each(["rooms", "rooms-v2"] as const)("the example %s", (example) => {
  test("brings every message to everybody in the room once, and nowhere else", async () => {
    const { url } = await startRooms(example);
    const [red, blue] = [openLedger("red"), openLedger("blue")];
    const [ada, grace, kurt] = [
      await join(url, red, "ada"),
      await join(url, red, "grace"),
      await join(url, blue, "kurt"),
    ];
    for (const client of [ada, grace, kurt, ada]) client.say("hello");
    await Promise.all([red.settled(5000), blue.settled(5000)]);
    expect(red.account()).toEqual({
      sent: 3,
      received: 6,
      outstanding: 0,
      duplicated: 0,
      misordered: 0,
      dropped: 0,
      refused: 0,
    });
    expect(blue.account()).toMatchObject({ sent: 1, received: 1, outstanding: 0 });
  });

  test("welcomes with its release, who is there and the last 50 messages", async () => {
    const { url } = await startRooms(example);
    const ledger = openLedger("red");
    const ada = await join(url, ledger, "ada");
    for (let count = 0; count < 60; count++) ada.say(`message ${count}`);
    await ledger.settled(5000);
    const { welcomes } = await join(url, ledger, "grace");
    expect(welcomes[0]).toMatchObject({ release: example, instance: `${example}-1`, members: ["ada", "grace"] });
    expect(welcomes[0]?.history.map(({ n }) => n)).toEqual(Array.from({ length: 50 }, (_, index) => index + 11));
  });

  test("keeps a room's history for who leaves and comes back", async () => {
    const { url } = await startRooms(example);
    const ledger = openLedger("red");
    const ada = await join(url, ledger, "ada");
    ada.say("still here?");
    await ada.leave();
    const { history } = await ada.rejoin();
    expect(history).toMatchObject([{ from: "ada", text: "still here?", n: 1 }]);
    expect(ledger.account()).toMatchObject({ received: 1, dropped: 0 });
  });

  test("refuses a message over its limit and closes a connection over the frame limit", async () => {
    const { url } = await startRooms(example);
    const socket = new WebSocket(`${url.replace("http", "ws")}/?room=red`);
    await once(socket, "message");
    socket.send(JSON.stringify({ text: "x".repeat(1001) }));
    const [answer] = (await once(socket, "message")) as [Buffer];
    expect(JSON.parse(answer.toString())).toMatchObject({ type: "error" });
    socket.send("x".repeat(100_000));
    const [code] = (await once(socket, "close")) as [number];
    expect(code).toBe(1009);
  });

  test("answers its health check, and takes bare text as a message", async () => {
    const { url } = await startRooms(example);
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { ok: true, release: example }]);
    const socket = new WebSocket(`${url.replace("http", "ws")}/?room=red&name=ada`);
    await once(socket, "message");
    socket.send("hello");
    const [answer] = (await once(socket, "message")) as [Buffer];
    expect(JSON.parse(answer.toString())).toMatchObject({ type: "message", from: "ada", text: "hello", n: 1 });
    socket.close();
    await once(socket, "close");
  });

  test("closes every connection and ends with 0 on SIGTERM", async () => {
    const { url, server } = await startRooms(example);
    const socket = new WebSocket(`${url.replace("http", "ws")}/?room=red`);
    await once(socket, "message");
    server.kill("SIGTERM");
    const [[code], [exit]] = await Promise.all([once(socket, "close"), once(server, "exit")]);
    expect([code, exit]).toEqual([1001, 0]);
  });
});

describe("a room client", () => {
  test("counts a connection that it did not close itself as dropped, and comes back", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    let connections = 0;
    server.on("connection", (socket) => {
      connections++;
      socket.send(JSON.stringify({ type: "welcome", release: "v1", instance: "a", members: [], history: [] }));
      if (connections === 1) socket.on("message", () => socket.close(1012, "moved"));
      else server.emit("returned");
    });
    const { port } = server.address() as { port: number };
    const ledger = openLedger("red");
    const ada = await join(`http://127.0.0.1:${port}`, ledger, "ada");
    const returned = once(server, "returned");
    ada.say("never told");
    await returned;
    // What was due when the connection dropped is lost, however long one waits.
    expect(ledger.account()).toMatchObject({ dropped: 1, outstanding: 1, received: 0 });
    expect(ledger.incidents[0]).toContain("1012 moved");
    ada.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test("counts a refused connection and gives up after its attempts", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", verifyClient: () => false });
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const ledger = openLedger("red");
    await expect(joinRoom({ url: `http://127.0.0.1:${port}`, name: "ada", ledger }, 2)).rejects.toThrow("401");
    expect(ledger.account().refused).toBe(2);
    await new Promise((resolve) => server.close(resolve));
  });
});

import { once } from "node:events";
import { connect, type ConnectOptions, type Connection } from "@holdover/client";
import { openChannels, type Channel } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket as WsWebSocket, WebSocketServer, type WebSocket as ServerSocket } from "ws";

let server: WebSocketServer;
let sockets: ServerSocket[];
let channel: Channel;
let ended: string | null;
let heard: string[];
let connection: Connection;

beforeEach(async () => {
  sockets = [];
  heard = [];
  ended = null;
  const channels = openChannels({
    open(opened) {
      channel = opened;
      return { message: (text) => opened.send(`echo ${text}`), end: (how) => void (ended = how) };
    },
  });
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) => {
    sockets.push(socket);
    channels.accept(socket, "room");
  });
  await once(server, "listening");
});

afterEach(async () => {
  connection.close();
  for (const socket of sockets) socket.terminate();
  server.close();
  await once(server, "close");
});

describe.each<[string, Pick<ConnectOptions, "webSocket">]>([
  ["the WebSocket of Node, which is that of browsers", {}],
  ["ws", { webSocket: (url) => new WsWebSocket(url) }],
])("over %s", (_, options) => {
  beforeEach(() => {
    const { port } = server.address() as { port: number };
    connection = connect(`http://127.0.0.1:${port}`, { ...options, baseMs: 1 });
    connection.on("message", (text) => heard.push(text));
  });

  test("messages pass, also over a cut, and a hang-up is known as one", async () => {
    connection.send("1");
    await expect.poll(() => heard).toEqual(["echo 1"]);
    const lost = new Promise<void>((resolve) => {
      connection.on("state", (state) => state === "waiting" && resolve());
    });
    sockets[0]?.terminate();
    await lost;
    connection.send("\ud800 \u0000 ü");
    channel.send("x");
    await expect.poll(() => heard.toSorted()).toEqual(["echo 1", "echo \ud800 \u0000 ü", "x"]);
    connection.close();
    await expect.poll(() => ended).toBe("closed");
  });

  test("a server that breaks the rules is left with a code", async () => {
    await expect.poll(() => connection.state).toBe("open");
    const [socket] = sockets;
    const closed = once(socket as ServerSocket, "close");
    socket?.send("{}");
    expect((await closed)[0]).toBe(4002);
    expect(connection.state).toBe("closed");
  });

  test("bytes are not understood", async () => {
    await expect.poll(() => connection.state).toBe("open");
    const [socket] = sockets;
    const closed = once(socket as ServerSocket, "close");
    socket?.send(Buffer.from("[0,0]"));
    expect((await closed)[0]).toBe(4003);
  });
});

import { once } from "node:events";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { queryObjects } from "node:v8";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { openFixture, talkOn, type Fixture, type Talk } from "./front-fixture.ts";
import { RequestRecord } from "./request-record.ts";
import { closeFrame, FrameTracker } from "./websocket-frames.ts";

const WAITS = { connectMs: 1000, closeMs: 300, finishMs: 300 };
let at: Fixture;
beforeEach(async () => {
  at = await openFixture({ waits: WAITS });
});
afterEach(() => at.close());

/** An instance that speaks WebSocket, by the ws package. */
async function serveWs(key: string, talk: (socket: WebSocket, raw: Socket) => void): Promise<Server> {
  const server = await at.serve(key, (_, response) => void response.end("no upgrade"));
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, asked) => talk(socket, asked.socket));
  at.ending(() => {
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
  return server;
}

function clientOf(path: string, options: { headers?: Record<string, string> } = {}): WebSocket {
  const client = new WebSocket(`ws://127.0.0.1:${at.port}${path}`, options);
  client.on("error", () => {});
  at.ending(() => client.terminate());
  return client;
}

const closing = async (socket: WebSocket): Promise<[number, string]> => {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
};

/** A bare instance and a bare client, joined by an upgrade to `protocol`. */
async function join(
  protocol: string,
  early = "",
  behindHead = "",
): Promise<{ client: Talk; instance: Talk; head: string }> {
  const { promise, resolve } = Promise.withResolvers<Talk>();
  await at.serveRaw("raw", (socket) => {
    const talk = talkOn(socket);
    void talk.until("\r\n\r\n").then(() => {
      socket.write(
        `HTTP/1.1 101 Over To You\r\nupgrade: ${protocol}\r\nConnection: upgrade\r\nX-Raw: Yes\r\n\r\n${behindHead}`,
      );
      resolve(talk);
    });
  });
  const client = await at.dial();
  client.socket.write(`GET /?s=raw HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n${early}`);
  const instance = await promise;
  await client.until("\r\n\r\n");
  return { client, instance, head: instance.heard() };
}

const bodyOf = (talk: Talk) => talk.heard().slice(talk.heard().indexOf("\r\n\r\n") + 4);

/** What came after the head of a message, as bytes. */
function afterHead(talk: Talk): Buffer {
  const all = talk.bytes();
  return all.subarray(all.indexOf("\r\n\r\n") + 4);
}

describe("an upgrade", () => {
  test("joins client and instance, whose messages pass whole, both ways, small and large, in order", async () => {
    await serveWs("a", (socket) => socket.on("message", (data, binary) => socket.send(data as Buffer, { binary })));
    const client = clientOf("/?s=a");
    await once(client, "open");
    const sent = [1, 125, 126, 65_535, 65_536, 3_000_000].map((size) => Buffer.alloc(size, size % 251));
    const got: Buffer[] = [];
    const all = new Promise<void>((resolve) => {
      client.on("message", (data) => {
        got.push(data as Buffer);
        if (got.length === sent.length) resolve();
      });
    });
    for (const message of sent) client.send(message);
    await all;
    expect(got.every((message, index) => message.equals(sent[index] as Buffer))).toBe(true);
    client.close(4000, "enough");
    expect(await closing(client)).toEqual([4000, "enough"]);
    await at.holder.allDone(1);
    expect(at.front.traffic()).toMatchObject({ requests: 0, upgrades: 1 });
  });

  test("reaches the instance with its own fields and comes back with the instance's", async () => {
    const { client, head } = await join("websocket");
    expect(head).toMatch(/^GET \/\?s=raw HTTP\/1\.1\r\nHost: h\r\n/);
    expect(head).toContain("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    expect(head).toContain("\r\nX-Forwarded-For: 127.0.0.1\r\n");
    const id = /\r\nHoldover-Request: (\S+)\r\n/.exec(head)?.[1];
    expect(client.heard()).toBe(
      `HTTP/1.1 101 Over To You\r\nX-Raw: Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHoldover-Request: ${id}\r\n\r\n`,
    );
  });

  test("keeps nothing of its request once it is open: thousands of them are cheap", async () => {
    await serveWs("a", () => {});
    await once(clientOf("/?s=a", { headers: { "x-request-id": "r".repeat(100) } }), "open");
    await expect.poll(() => queryObjects(RequestRecord, { format: "count" })).toBe(0);
  });

  test("loses nothing that either end sends behind its head at once", async () => {
    const { client, instance } = await join("chat/1", "early from client", "early from instance");
    expect(await client.until("early from instance")).toMatch(/\r\n\r\nearly from instance$/);
    expect(await instance.until("early from client")).toMatch(/\r\n\r\nearly from client$/);
  });

  test("that the instance refuses is answered with all of its answer, and closed", async () => {
    const body = "~".repeat(1_000_000);
    await at.serve("a", (_, response) => {
      response.writeHead(403, "Not You", { "X-Why": "1", "Set-Cookie": ["a=1", "b=2"] });
      response.write(body);
      response.addTrailers([["X-Sum", "7"]]);
      response.end();
    });
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const answer = await talk.ended;
    expect(answer).toMatch(/^HTTP\/1\.1 403 Not You\r\nX-Why: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    expect(answer).toContain("Connection: close");
    expect(answer.match(/~/g)).toHaveLength(1_000_000);
    expect(answer).toMatch(/0\r\nX-Sum: 7\r\n\r\n$/);
    await at.holder.allDone(1);
  });

  test("to h2c, or with a body, stays an ordinary request", async () => {
    let seen: unknown[] = [];
    await at.serve("a", (asked, response) => {
      seen = [asked.headers.upgrade, asked.headers.connection];
      response.end("plain");
    });
    for (const more of ["Upgrade: h2c\r\n\r\n", "Upgrade: websocket\r\nContent-Length: 2\r\n\r\nhi"]) {
      const talk = await at.dial();
      talk.socket.write(`GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n${more}`);
      await talk.until("plain");
      expect(seen).toEqual([undefined, "keep-alive"]);
    }
  });

  test("to an instance that is not there is answered 502, and its holder told", async () => {
    const gone = await at.serve("a", () => {});
    await new Promise((resolve) => gone.close(resolve));
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 502 /);
    expect(at.holder.reported).toEqual(["a"]);
    await at.holder.allDone(1);
  });

  test("without a key is a session of its own, and with a cookie that of the cookie", async () => {
    await serveWs("default", () => {});
    const { headers } = await at.ask({});
    const cookie = headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    await once(clientOf("/"), "open");
    await once(clientOf("/", { headers: { cookie } }), "open");
    await once(clientOf("/", { headers: { cookie: `${cookie}x` } }), "open");
    const keys = at.holder.held.map((held) => held.key);
    expect(keys.slice(1)).toEqual([null, keys[0], null]);
    expect(keys[0]).toMatch(/^cookie:/);
  });

  test("whose client goes before it was answered is given up at the instance, too", async () => {
    const { promise, resolve } = Promise.withResolvers<Talk>();
    await at.serveRaw("a", (socket) => resolve(talkOn(socket)));
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const instance = await promise;
    await instance.until("\r\n\r\n");
    talk.socket.destroy();
    await instance.gone;
    await at.holder.allDone(1);
    expect(at.front.traffic().connections).toBe(0);
  });
});

describe("a tunnel", () => {
  test("passes a FIN on after the data, and the other direction goes on", async () => {
    const { client, instance } = await join("chat/1");
    client.socket.end("last words");
    expect(await instance.ended).toMatch(/last words$/);
    instance.socket.write("still here");
    await client.until("still here");
    instance.socket.end("and bye");
    expect(await client.ended).toMatch(/still hereand bye$/);
    await at.holder.allDone(1);
  });

  test.for(["websocket", "chat/1"])(
    "holds a fast sender back while its receiver does not read: %s",
    async (protocol) => {
      const { client, instance } = await join(protocol);
      const total = 64 << 20;
      const payload = Buffer.alloc(total, 1);
      const header = Buffer.from([
        0x82,
        127,
        0,
        0,
        0,
        0,
        total >> 24,
        (total >> 16) & 0xff,
        (total >> 8) & 0xff,
        total & 0xff,
      ]);
      client.socket.pause();
      instance.socket.write(header);
      instance.socket.write(payload);
      let last = -1;
      for (let quiet = 0; quiet < 50;) {
        const { writableLength } = instance.socket;
        quiet = writableLength === last ? quiet + 1 : 0;
        last = writableLength;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // One write is out or not as a whole in this count, so most of it is still with the sender: not all has been taken.
      expect(last).toBeGreaterThanOrEqual(total);
      client.socket.resume();
      await once(instance.socket, "drain");
      while (client.socket.bytesRead < total) await once(client.socket, "data");
    },
  );

  test("whose ends have both sent their FIN without a Close is over at once, and does not wait for an answer", async () => {
    const slow = await openFixture({ waits: { ...WAITS, closeMs: 3_600_000 } });
    at.ending(() => slow.close());
    await slow.serveRaw("a", (socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
      socket.on("end", () => socket.end());
    });
    const talk = await slow.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await talk.until("101 Yes");
    expect(slow.holder.open).toHaveLength(1);
    talk.socket.end();
    await slow.holder.allDone(1);
  });

  test("whose client resets is ended at the instance without a reset", async () => {
    const { client, instance } = await join("websocket");
    client.socket.resetAndDestroy();
    expect(await instance.ended).toMatch(/\r\n\r\n$/);
    instance.socket.end();
    await at.holder.allDone(1);
  });

  test("of an unknown protocol is ended by FINs when its session is cut, and destroyed when a peer does not mind", async () => {
    const { client, instance } = await join("chat/1");
    at.holder.end("cut");
    expect(await client.ended).toMatch(/\r\n\r\n$/);
    expect(await instance.ended).toMatch(/\r\n\r\n$/);
    client.socket.end();
    await at.holder.allDone(1);
  });

  test("of an unknown protocol may end by itself for a while when its session is moved", async () => {
    const { client, instance } = await join("chat/1");
    at.holder.end("moved");
    instance.socket.end("the end");
    expect(await client.ended).toMatch(/the end$/);
    client.socket.end();
    await at.holder.allDone(1);
  });
});

describe("a WebSocket whose session is ended", () => {
  test.for([
    ["moved", 1012],
    ["aged", 1012],
    ["cut", 1001],
  ] as const)("is closed with a handshake on both sides: %s, code %i", async ([how, code]) => {
    const { promise, resolve } = Promise.withResolvers<WebSocket>();
    const errors: Error[] = [];
    await serveWs("a", (socket, raw) => {
      raw.on("error", (error) => errors.push(error));
      socket.on("error", (error) => errors.push(error));
      resolve(socket);
    });
    const client = clientOf("/?s=a");
    client.on("error", (error) => errors.push(error));
    await once(client, "open");
    expect(at.holder.open.map(({ lasts }) => lasts)).toEqual([true]);
    const instance = await promise;
    const both = Promise.all([closing(client), closing(instance)]);
    at.holder.end(how);
    const [atClient, atInstance] = await both;
    expect([atClient[0], atInstance[0]]).toEqual([code, code]);
    expect(errors).toEqual([]);
    await at.holder.allDone(1);
  });

  test("still delivers to the instance what its client sent before it knew", async () => {
    const { client, instance } = await join("websocket");
    at.holder.end("moved");
    await client.untilBytes(client.heard().indexOf("\r\n\r\n") + 6);
    client.socket.write(Buffer.concat([masked("late"), masked("later")]));
    client.socket.write(closeFrame(1012, "", Buffer.from([0, 0, 0, 0])));
    await instance.ended;
    expect(bodyOf(instance)).toContain("late");
    expect(bodyOf(instance)).toContain("later");
    const tracker = new FrameTracker();
    tracker.feed(afterHead(instance));
    expect(tracker.closed).toBe(true);
    client.socket.end();
    instance.socket.end();
    await at.holder.allDone(1);
  });

  test("gets its Close only where a frame ends, and no byte of a later frame", async () => {
    const { client, instance } = await join("websocket");
    const first = unmasked("x".repeat(70_000), { fin: false });
    const second = unmasked("y".repeat(300), { opcode: 0 });
    instance.socket.write(first.subarray(0, 30_000));
    const headLength = client.bytes().indexOf("\r\n\r\n") + 4;
    await client.untilBytes(headLength + 30_000);
    at.holder.end("moved");
    instance.socket.write(first.subarray(30_000, 60_000));
    await client.untilBytes(headLength + 60_000);
    expect(client.bytes().length).toBe(headLength + 60_000);
    instance.socket.write(Buffer.concat([first.subarray(60_000), second.subarray(0, 100)]));
    const expected = Buffer.concat([first, closeFrame(1012, "session moved, connect again; retry=0", null)]);
    await client.untilBytes(headLength + expected.length);
    instance.socket.write(second.subarray(100));
    client.socket.end(closeFrame(1012, "", Buffer.from([1, 2, 3, 4])));
    await client.ended;
    expect(afterHead(client).equals(expected)).toBe(true);
    instance.socket.end();
    await at.holder.allDone(1);
  });

  test("is closed towards the instance by us when its client does not answer, and then let go", async () => {
    const { client, instance } = await join("websocket");
    at.holder.end("cut");
    const farewell = closeFrame(1001, "session cut", null);
    await client.untilBytes(client.bytes().indexOf("\r\n\r\n") + 4 + farewell.length);
    await instance.ended;
    const [opcode = 0, length = 0, ...rest] = afterHead(instance);
    expect([opcode, length & 0x80]).toEqual([0x88, 0x80]);
    const code = [4, 5].map((index) => (rest[index] ?? 0) ^ (rest[index - 4] ?? 0));
    expect(((code[0] ?? 0) << 8) | (code[1] ?? 0)).toBe(1001);
    // Neither of the two closes: it is not waited for without end.
    await at.holder.allDone(1);
  });

  test("is not given a second Close after the instance's own", async () => {
    const { client, instance } = await join("websocket");
    const own = closeFrame(1001, "own words", null);
    instance.socket.write(own);
    await client.untilBytes(client.bytes().indexOf("\r\n\r\n") + 4 + own.length);
    at.holder.end("moved");
    client.socket.end(closeFrame(1001, "", Buffer.from([1, 2, 3, 4])));
    await client.ended;
    expect(afterHead(client).equals(own)).toBe(true);
    instance.socket.end();
    await at.holder.allDone(1);
  });

  test("is told at once by a Close when its instance is lost between two frames", async () => {
    await serveWs("a", () => {});
    const client = clientOf("/?s=a");
    await once(client, "open");
    const closed = closing(client);
    at.holder.end("lost");
    expect(await closed).toEqual([1012, "instance lost, connect again; retry=500"]);
    await at.holder.allDone(1);
  });

  test("is told the same when the instance resets, before anybody has noticed its death", async () => {
    await serveWs("a", (_, raw) => void raw.resetAndDestroy());
    const client = clientOf("/?s=a");
    expect((await closing(client))[0]).toBe(1012);
    await at.holder.allDone(1);
  });

  test("is only ended when its instance is lost within a frame", async () => {
    const { client, instance } = await join("websocket");
    const half = unmasked("x".repeat(1000)).subarray(0, 500);
    instance.socket.write(half);
    await client.untilBytes(client.bytes().indexOf("\r\n\r\n") + 4 + half.length);
    at.holder.end("lost");
    await client.ended;
    expect(afterHead(client).equals(half)).toBe(true);
    client.socket.end();
    await at.holder.allDone(1);
  });

  test("before its upgrade was answered is answered 502", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<unknown>();
    await at.serveRaw("a", (socket) => void socket.once("data", resolve));
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await asked;
    at.holder.end("moved");
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 502 /);
    await at.holder.allDone(1);
  });

  test.for(["moved", "cut", "lost"] as const)("while it was being placed is placed again: %s", async (how) => {
    await at.serveRaw("a", (socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    });
    at.holder.joined = async ({ connection }) => {
      at.holder.joined = () => Promise.resolve();
      connection.end(how);
    };
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await talk.until("101 Yes");
    expect(at.holder.held.map(({ done }) => done)).toEqual([1, 0]);
    talk.socket.resetAndDestroy();
    await at.holder.allDone(2);
  });
});

function unmasked(text: string, { fin = true, opcode = 1 }: { fin?: boolean; opcode?: number } = {}): Buffer {
  const payload = Buffer.from(text);
  const first = (fin ? 0x80 : 0) | opcode;
  const { length } = payload;
  const head =
    length < 126
      ? [first, length]
      : length < 65_536
        ? [first, 126, length >> 8, length & 0xff]
        : [first, 127, 0, 0, 0, 0, 0, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Under a mask of zeros, so that the text stays readable. */
function masked(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { openFixture, type Fixture } from "./front-fixture.ts";

const WAITS = { connectMs: 1000, closeMs: 300, finishMs: 300 };
let at: Fixture;
beforeEach(async () => {
  at = await openFixture({ waits: WAITS });
});
afterEach(() => at.close());

/** Nobody listens any more at the address of the session's instance. */
async function refuse(key: string): Promise<void> {
  const server = await at.serve(key, () => {});
  await new Promise((resolve) => server.close(resolve));
}

/** The instance takes a request and breaks its connection off, as one that crashes does. Resolves with how often. */
async function crash(key: string): Promise<() => number> {
  let asked = 0;
  await at.serveRaw(key, (socket) => {
    socket.once("data", () => {
      asked += 1;
      socket.resetAndDestroy();
    });
  });
  return () => asked;
}

/** From its death on, the session of instance `a` lives where `b` is. */
function placedAnew(): void {
  at.holder.died = () => {
    at.holder.instances["a"] = at.holder.instances["b"] as { host: string; port: number };
    return true;
  };
}

const bodyOf = async (asked: IncomingMessage): Promise<string> => {
  let body = "";
  for await (const chunk of asked) body += String(chunk);
  return body;
};

describe("a request to an instance that has died", () => {
  test.for(["GET", "POST"] as const)("and refuses connections is served by the next one, whole: %s", async (method) => {
    await refuse("a");
    await at.serve("b", async (asked, response) => {
      const { length } = await bodyOf(asked);
      response.end(`${asked.method} ${length}`);
    });
    placedAnew();
    const body = method === "POST" ? "x".repeat(300_000) : undefined;
    const answer = await at.ask({ path: "/?s=a", method, body: body ?? "" });
    expect([answer.status, answer.body]).toEqual([200, `${method} ${body?.length ?? 0}`]);
    expect(at.holder.reported).toEqual(["a"]);
    await at.holder.allDone(2);
  });

  test("before it answered is served by the next one, where it does no harm twice", async () => {
    const asked = await crash("a");
    await at.serve("b", (_, response) => void response.end("b"));
    placedAnew();
    expect((await at.ask({ path: "/?s=a" })).body).toBe("b");
    expect(asked()).toBe(1);
    await at.holder.allDone(2);
    // What the router adds is counted for the first of them alone: in the rest there is the time of an instance that died.
    expect(at.front.traffic().added.known.counts.reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  test.for([
    ["POST", undefined],
    ["PUT", "body"],
  ] as const)(
    "before it answered is not sent to another one where it may do harm twice: %s",
    async ([method, body]) => {
      const asked = await crash("a");
      let again = 0;
      await at.serve("b", (_, response) => void response.end(String((again += 1))));
      placedAnew();
      expect((await at.ask({ path: "/?s=a", method, body: body ?? "" })).status).toBe(502);
      expect([asked(), again]).toEqual([1, 0]);
      await at.holder.allDone(1);
    },
  );

  test("ends two instances at the most, where it is what they die of", async () => {
    const asked = await crash("a");
    at.holder.died = () => true;
    const answer = await at.ask({ path: "/?s=a" });
    expect(answer.status).toBe(502);
    expect(asked()).toBe(2);
    await at.holder.allDone(2);
  });

  test("is placed three times at the most", async () => {
    await refuse("a");
    at.holder.died = () => true;
    expect((await at.ask({ path: "/?s=a" })).status).toBe(502);
    expect(at.holder.reported).toEqual(["a", "a", "a"]);
    await at.holder.allDone(3);
  });

  test("after an interim answer is answered 502: the client has heard of it", async () => {
    await at.serveRaw("a", (socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", () => socket.resetAndDestroy());
      });
    });
    await at.serve("b", (_, response) => void response.end("b"));
    placedAnew();
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(await talk.until("INSTANCE_UNREACHABLE")).toContain("HTTP/1.1 103 ");
    await at.holder.allDone(1);
  });

  test.for([
    ["GET", 200],
    ["POST", 502],
  ] as const)("as its session is told before the connection is: %s %i", async ([method, status]) => {
    const { promise: arrived, resolve } = Promise.withResolvers<void>();
    await at.serve("a", () => resolve());
    await at.serve("b", (_, response) => void response.end("b"));
    const asked = at.ask({ path: "/?s=a", method });
    await arrived;
    placedAnew();
    await at.holder.died("a");
    at.holder.end("lost");
    expect((await asked).status).toBe(status);
    await at.holder.allDone(status === 200 ? 2 : 1);
  });

  test("whose client goes while it is found out is asked nowhere else", async () => {
    await refuse("a");
    let asked = 0;
    await at.serve("b", (_, response) => void response.end(String((asked += 1))));
    placedAnew();
    const placed = at.holder.died;
    const { promise: looked, resolve: found } = Promise.withResolvers<boolean>();
    at.holder.died = () => looked;
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    await at.holder.until(() => at.holder.held.length === 1);
    talk.socket.resetAndDestroy();
    await at.holder.allDone(1);
    await placed("a");
    found(true);
    expect((await at.ask({ path: "/?s=a" })).body).toBe("1");
    await at.holder.allDone(2);
  });
});

test("an instance that refuses connections and lives is not left: 502, and its session stays", async () => {
  await refuse("a");
  let asked = 0;
  await at.serve("b", (_, response) => void response.end(String((asked += 1))));
  expect((await at.ask({ path: "/?s=a" })).status).toBe(502);
  expect([at.holder.reported, asked]).toEqual([["a"], 0]);
  await at.holder.allDone(1);
});

describe("an upgrade to an instance that has died", () => {
  const echo = async (key: string): Promise<void> => {
    const server = await at.serve(key, (_, response) => void response.end("no upgrade"));
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) =>
      socket.on("message", (data: Buffer) => socket.send(`${key}: ${data.toString()}`)),
    );
    at.ending(() => {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
    });
  };
  const answerTo = async (text: string): Promise<string> => {
    const client = new WebSocket(`ws://127.0.0.1:${at.port}/?s=a`);
    at.ending(() => client.terminate());
    await once(client, "open");
    client.send(text);
    const [data] = (await once(client, "message")) as [Buffer];
    client.close();
    await once(client, "close");
    return data.toString();
  };
  const upgrade = (method: string): string =>
    `${method} /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

  test.for(["refuses connections", "breaks this one off"] as const)("and %s is served by the next one", async (how) => {
    await (how === "refuses connections" ? refuse("a") : crash("a"));
    await echo("b");
    placedAnew();
    expect(await answerTo("hello")).toBe("b: hello");
    expect(at.holder.reported).toEqual(["a"]);
    await at.holder.allDone(2);
  });

  test("as its session is told before the connection is, is served by the next one", async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<Socket>();
    await at.serveRaw("a", (socket) => socket.once("data", () => resolve(socket)));
    await echo("b");
    const answer = answerTo("hello");
    const socket = await arrived;
    const dropped = once(socket, "close");
    socket.resume().on("end", () => socket.end());
    placedAnew();
    await at.holder.died("a");
    at.holder.end("lost");
    expect(await answer).toBe("b: hello");
    await dropped;
    await at.holder.allDone(2);
  });

  test("ends two instances at the most, where it is what they die of", async () => {
    const asked = await crash("a");
    at.holder.died = () => true;
    const talk = await at.dial();
    talk.socket.write(upgrade("GET"));
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 502 /);
    expect(asked()).toBe(2);
    await at.holder.allDone(2);
  });

  test("and may have done harm is not sent to another one", async () => {
    const asked = await crash("a");
    at.holder.died = () => true;
    const talk = await at.dial();
    talk.socket.write(upgrade("POST"));
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 502 /);
    expect(asked()).toBe(1);
    await at.holder.allDone(1);
  });

  test("whose client goes while it is found out is asked nowhere else", async () => {
    await refuse("a");
    const { promise: looked, resolve: found } = Promise.withResolvers<boolean>();
    at.holder.died = () => looked;
    const talk = await at.dial();
    talk.socket.write(upgrade("GET"));
    await at.holder.until(() => at.holder.held.length === 1);
    talk.socket.resetAndDestroy();
    await at.holder.allDone(1);
    await echo("a");
    found(true);
    at.holder.died = () => false;
    expect(await answerTo("hello")).toBe("a: hello");
    await at.holder.allDone(2);
  });
});

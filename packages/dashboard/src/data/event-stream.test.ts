import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callApi, type ApiFailure } from "./api-call.ts";
import { follow, type Following } from "./event-stream.ts";

/** A server of event streams that the test answers by hand, and time that passes when the test says so. */
const server = createServer();
const asked: { request: IncomingMessage; response: ServerResponse }[] = [];
let timers: { run: () => void; ms: number }[] = [];
let seen: string[] = [];
let following: Following | undefined;
let news = Promise.withResolvers<void>();

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
server.on("request", (request: IncomingMessage, response: ServerResponse) => {
  asked.push({ request, response });
  told();
});
afterEach(async () => {
  following?.stop();
  asked.length = 0;
  timers = [];
  seen = [];
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function told(): void {
  news.resolve();
  news = Promise.withResolvers();
}

/** Waits for something that the server or the page does next, as often as it takes. */
async function until<Value>(find: () => Value | undefined | false): Promise<Value> {
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    await news.promise;
  }
}

function start(after: string | null = null): void {
  const { port } = server.address() as AddressInfo;
  following = follow(
    {
      open: (lastId, signal) =>
        callApi(fetch, "t", {
          path: `http://127.0.0.1:${port}/v1/events`,
          ...(lastId !== null && { headers: { "last-event-id": lastId } }),
          signal,
        }),
      onEvent: ({ name, data }) => note(`${name} ${data}`),
      onOpen: () => note("open"),
      onBroken: ({ code }: ApiFailure, againInMs) => note(`broken ${code} ${againInMs}`),
      onLost: () => note("lost"),
      after(ms, run) {
        const timer = { run, ms };
        timers.push(timer);
        told();
        return () => (timers = timers.filter((one) => one !== timer));
      },
      random: () => 0.5,
      silentMs: 12_000,
    },
    after,
  );
}

function note(what: string): void {
  seen.push(what);
  told();
}

const call = (index: number) => until(() => asked[index]);
const sees = (what: string) => until(() => seen.includes(what));

function stream(response: ServerResponse, text = ""): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`: open\n\n${text}`);
}

/** The wait that is running passes. */
async function pass(ms: number): Promise<void> {
  const timer = await until(() => timers.find((one) => one.ms === ms));
  timers = timers.filter((one) => one !== timer);
  timer.run();
}

test("a stream that breaks is resumed after the last event that came, with the token in a header", async () => {
  start();
  const first = await call(0);
  expect(first.request.headers).not.toHaveProperty("last-event-id");
  expect(first.request.headers.authorization).toBe("Bearer t");
  stream(first.response, "id: 41\nevent: audit\ndata: a\n\nevent: status\ndata: s\n\nid: 42\nevent: au");
  await sees("status s");
  first.response.destroy();
  await sees("broken UNREACHABLE 375");
  await pass(375);
  const second = await call(1);
  expect(second.request.headers["last-event-id"]).toBe("41");
  stream(second.response, "id: 42\nevent: audit\ndata: b\n\n");
  await sees("audit b");
  expect(seen.filter((what) => what.startsWith("audit"))).toEqual(["audit a", "audit b"]);
});

test("failures in a row are waited for longer and longer, up to 15 s, and spread over half of that", async () => {
  start();
  for (const [index, waitMs] of [375, 750, 1500, 3000, 6000, 11_250, 11_250].entries()) {
    const { response } = await call(index);
    response.writeHead(503, { "content-type": "application/json" });
    response.end('{"error":{"code":"CONTROL_BUSY","what":"w","next":"n"}}');
    await sees(`broken CONTROL_BUSY ${waitMs}`);
    await pass(waitMs);
  }
  expect(seen).toHaveLength(7);
});

test("a stream that opens and says nothing is as good as none: the wait goes on growing", async () => {
  start();
  const first = await call(0);
  stream(first.response);
  await sees("open");
  first.response.destroy();
  await pass(375);
  const second = await call(1);
  stream(second.response);
  await until(() => seen.filter((what) => what === "open").length === 2);
  second.response.destroy();
  await sees("broken UNREACHABLE 750");
  expect(seen).toEqual(["open", "broken UNREACHABLE 375", "open", "broken UNREACHABLE 750"]);
});

test("a stream that stays open and says nothing for 12 s is given up and opened anew", async () => {
  start();
  const first = await call(0);
  stream(first.response, "id: 3\nevent: audit\ndata: a\n\n");
  await sees("audit a");
  const closed = once(first.response, "close");
  await pass(12_000);
  await closed;
  await sees("broken UNREACHABLE 375");
  await pass(375);
  const second = await call(1);
  expect(second.request.headers["last-event-id"]).toBe("3");
});

test("a token that is not valid any more is not tried again", async () => {
  start();
  const { response } = await call(0);
  response.writeHead(401, { "content-type": "application/json" });
  response.end('{"error":{"code":"UNAUTHORIZED","what":"w","next":"n"}}');
  await sees("broken UNAUTHORIZED null");
  expect(timers).toEqual([]);
  expect(asked).toHaveLength(1);
});

test("where the log was put back from a copy, and the last id is past its end, the stream begins anew", async () => {
  start("900");
  const first = await call(0);
  expect(first.request.headers["last-event-id"]).toBe("900");
  first.response.writeHead(400, { "content-type": "application/json" });
  first.response.end('{"error":{"code":"REQUEST_INVALID","what":"w","next":"n"}}');
  await sees("lost");
  await pass(375);
  const second = await call(1);
  expect(second.request.headers).not.toHaveProperty("last-event-id");
});

test("whoever does not want to wait tries at once, and a stream that is open stays", async () => {
  start();
  const first = await call(0);
  first.response.writeHead(503).end();
  await sees("broken NOT_HOLDOVER 375");
  following?.again();
  const second = await call(1);
  stream(second.response, "event: status\ndata: s\n\n");
  await sees("status s");
  following?.again();
  expect(asked).toHaveLength(2);
});

test("a stream that is stopped closes its connection and opens none", async () => {
  start();
  const first = await call(0);
  stream(first.response);
  await sees("open");
  const closed = once(first.response, "close");
  following?.stop();
  await closed;
  expect(timers.filter(({ ms }) => ms !== 12_000)).toEqual([]);
  expect(asked).toHaveLength(1);
});

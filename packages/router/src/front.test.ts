import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFront } from "./front.ts";
import { dial, openFixture, service, type Fixture } from "./front-fixture.ts";

let at: Fixture;
beforeEach(async () => {
  at = await openFixture({ limits: { headBytes: 16_384, headTimeoutMs: 200 } });
  await at.serve("default", (request, response) => {
    request.resume().on("end", () => response.end(`${request.method} ${request.url}`));
  });
});
afterEach(() => at.close());

const GET = "GET /?s=a HTTP/1.1\r\n";
const POST = "POST /?s=a HTTP/1.1\r\nHost: h\r\n";

describe("a head that two servers could read differently", () => {
  test.for([
    ["two Host fields", `${GET}Host: a\r\nHost: b\r\n\r\n`],
    ["the same Host twice", `${GET}Host: a\r\nhost: a\r\n\r\n`],
    ["no Host", `${GET}\r\n`],
    ["an empty Host", `${GET}Host:\r\n\r\n`],
    ["a Host that is none", `${GET}Host: a b/c\r\n\r\n`],
    ["Content-Length and Transfer-Encoding", `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["two lengths", `${POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`],
    ["a list of lengths", `${POST}Content-Length: 3, 3\r\n\r\nabc`],
    ["a coding before chunked", `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["chunked twice", `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a folded field", `${GET}Host: a\r\nX: a\r\n b\r\n\r\n`],
    ["a space before the colon", `${GET}Host : a\r\n\r\n`],
    ["bare line feeds", "GET / HTTP/1.1\nHost: a\n\n"],
    ["a NUL in a field", `${GET}Host: a\r\nX: a\0b\r\n\r\n`],
    ["a version of its own", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
    ["a fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a star without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a URL of another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["the session key twice", "GET / HTTP/1.1\r\nHost: a\r\nX-Session: a\r\nX-Session: b\r\n\r\n"],
  ] as const)("is refused with 400 and the connection closed: %s", async ([, head]) => {
    const talk = await at.dial();
    talk.socket.write(head, "latin1");
    const answer = await talk.ended;
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain("\r\nConnection: close\r\n");
    expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toMatchObject({
      error: { code: "REQUEST_MALFORMED", next: expect.any(String) },
    });
    expect(at.front.traffic().refused).toEqual({ REQUEST_MALFORMED: 1 });
    expect(at.holder.held).toEqual([]);
  });
});

test("a head of 100 kB is refused with 431, and the client gets to read that", async () => {
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: a\r\nX: ${"x".repeat(100_000)}\r\n\r\n`);
  const answer = await talk.ended;
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer).toContain('"code":"HEAD_TOO_LARGE"');
});

test("a head of more fields than anybody sends is refused with 431", async () => {
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: a\r\n${"X: 1\r\n".repeat(100)}\r\n`);
  expect(await talk.ended).toContain('"code":"HEAD_FIELDS_TOO_MANY"');
});

test("half a head and then silence is answered 408 and closed", async () => {
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: a\r\n`);
  const answer = await talk.ended;
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain('"code":"HEAD_TOO_SLOW"');
});

test("a connection on which nothing is ever sent is closed without a word", async () => {
  const talk = await at.dial();
  expect(await talk.ended).toBe("");
  expect(at.front.traffic().refused).toEqual({});
});

test("CONNECT and TRACE are refused", async () => {
  for (const line of ["CONNECT h:80", "TRACE /"]) {
    const talk = await at.dial();
    talk.socket.write(`${line} HTTP/1.1\r\nHost: h:80\r\nConnection: close\r\n\r\n`);
    expect(await talk.ended).toContain('"code":"METHOD_REFUSED"');
  }
});

test("OPTIONS * and a URL as target reach the instance as it expects them", async () => {
  const talk = await at.dial();
  talk.socket.write("OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Session: a\r\n\r\n");
  expect(await talk.until("OPTIONS *")).toMatch(/^HTTP\/1\.1 200 /);
  talk.socket.write("GET http://A:8/x?y=1 HTTP/1.1\r\nHost: a:8\r\nX-Session: a\r\n\r\n");
  await talk.until("GET /x?y=1");
});

test("a host or path of no service is answered 404 and the connection goes on", async () => {
  at.holder.services = [service("rooms", { hosts: ["rooms.example"], path: "/rooms" })];
  const talk = await at.dial();
  talk.socket.write("GET /rooms?s=a HTTP/1.1\r\nHost: other\r\n\r\n");
  expect(await talk.until("HOST_UNKNOWN")).toMatch(/^HTTP\/1\.1 404 /);
  talk.socket.write("GET /rooms/x?s=a HTTP/1.1\r\nHost: Rooms.Example.:8080\r\n\r\n");
  await talk.until("GET /rooms/x?s=a");
  await at.holder.allDone(1);
});

test("a service without an instance is answered 503 with a hint when to come again", async () => {
  delete at.holder.instances["default"];
  const answer = await at.ask({ path: "/?s=a" });
  expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "1"]);
  expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "NO_INSTANCE", details: { service: "rooms" } } });
});

test("requests of different keys on one connection go to different instances", async () => {
  await at.serve("a", (_, response) => void response.end("this is a"));
  await at.serve("b", (_, response) => void response.end("this is b"));
  const talk = await at.dial();
  for (const key of ["a", "b", "a"]) {
    const before = talk.heard().length;
    talk.socket.write(`GET /?s=${key} HTTP/1.1\r\nHost: h\r\n\r\n`);
    while (!talk.heard().slice(before).includes(`this is ${key}`)) await once(talk.socket, "data");
  }
  await at.holder.allDone(3);
  expect(at.holder.held.map((held) => held.key)).toEqual(["a", "b", "a"]);
  expect(at.front.traffic()).toMatchObject({ requests: 3, upgrades: 0, connections: 1, refused: {} });
});

test("what the router adds is counted once a request that reached an instance, by whether its session had its place", async () => {
  const counted = () => {
    const { known, placed } = at.front.traffic().added;
    return [known, placed].map(({ counts }) => counts.reduce((sum, count) => sum + count, 0));
  };
  await at.serve("a", (_, response) => void response.end("this is a"));
  await at.ask({ path: "/?s=a" });
  at.holder.placed = true;
  await at.ask({ path: "/?s=a", method: "POST", body: "x" });
  await at.ask({ path: "/?s=a" });
  expect(counted()).toEqual([1, 2]);
  // What the router answers itself is none of it.
  await at.ask({ path: "/", headers: { host: "two hosts" } });
  expect(counted()).toEqual([1, 2]);
  const talk = await at.dial();
  at.holder.placed = false;
  talk.socket.write("GET /?s=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  await talk.until("this is a");
  expect(counted()).toEqual([2, 2]);
});

test("pipelined requests are answered in order, one at a time", async () => {
  let most = 0;
  let now = 0;
  await at.serve("p", (request, response) => {
    now += 1;
    most = Math.max(most, now);
    setImmediate(() => {
      now -= 1;
      response.end(`<${String(request.headers["x-n"])}>`);
    });
  });
  const talk = await at.dial();
  talk.socket.write(
    Array.from({ length: 20 }, (_, n) => `GET /?s=p HTTP/1.1\r\nHost: h\r\nX-N: ${n}\r\n\r\n`).join(""),
  );
  await talk.until("<19>");
  expect([...talk.heard().matchAll(/<(\d+)>/g)].map(([, n]) => Number(n))).toEqual([...Array(20).keys()]);
  expect(most).toBe(1);
});

test("a client that pipelines without end loses its connection, and nobody else does", async () => {
  at.holder.before = new Promise(() => {});
  const talk = await at.dial();
  talk.socket.write("GET /?s=p HTTP/1.1\r\nHost: h\r\n\r\n".repeat(500));
  await talk.gone;
  at.holder.before = Promise.resolve();
  expect((await at.ask({ path: "/?s=other" })).body).toBe("GET /?s=other");
});

describe("a request without a key", () => {
  const cookieOf = (headers: { "set-cookie"?: string[] | undefined }) =>
    headers["set-cookie"]?.[0]?.split(";")[0] ?? "";

  test("gets a session by a signed cookie and comes back to it, and the instance never sees the cookie", async () => {
    const seen: (string | undefined)[] = [];
    await at.serve("default", (request, response) => {
      seen.push(request.headers.cookie);
      response.setHeader("Set-Cookie", ["own=1", "more=2"]);
      response.end();
    });
    const first = await at.ask({});
    expect(first.headers["set-cookie"]).toHaveLength(3);
    const ours = cookieOf({ "set-cookie": first.headers["set-cookie"]?.slice(2) });
    expect(ours).toMatch(/^holdover_rooms=/);
    const second = await at.ask({ headers: { cookie: `own=1; ${ours}` } });
    expect(second.headers["set-cookie"]).toHaveLength(2);
    expect(seen).toEqual([undefined, "own=1"]);
    const [one, two] = at.holder.held;
    expect(one?.key).toBe(two?.key);
  });

  test("whose cookie is forged gets a session of its own", async () => {
    const first = await at.ask({});
    const answer = await at.ask({ headers: { cookie: `${cookieOf(first.headers)}x` } });
    expect(cookieOf(answer.headers)).not.toBe(cookieOf(first.headers));
    expect(at.holder.held[1]?.key).not.toBe(at.holder.held[0]?.key);
  });
});

describe("what the instance is told of the client", () => {
  test("replaces what the client says of itself, while Host stays as it was", async () => {
    const seen: string[][] = [];
    await at.serve("a", (request, response) => {
      seen.push(request.rawHeaders);
      response.end();
    });
    const talk = await at.dial();
    talk.socket.write(
      `${GET}Host: H.example:81\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX_Real_IP: 1.1.1.1\r\nX-CamelCase: Kept\r\nX-Request-Id: r-1\r\n\r\n`,
    );
    await talk.until("200 OK");
    expect(seen[0]).toEqual(
      [
        ["Host", "H.example:81"],
        ["X-CamelCase", "Kept"],
        ["X-Forwarded-For", "127.0.0.1"],
        ["X-Forwarded-Proto", "http"],
        ["X-Forwarded-Host", "H.example:81"],
        ["X-Forwarded-Port", String(at.port)],
        ["Forwarded", 'for=127.0.0.1;host="H.example:81";proto=http'],
        ["Holdover-Session", "a"],
        ["Holdover-Fence", "1"],
        ["Holdover-Request", "r-1"],
        ["X-Request-Id", "r-1"],
        ["Connection", "keep-alive"],
      ].flat(),
    );
  });
});

test("fields of one hop stay on it, both ways, those that Connection names included", async () => {
  let seen: NodeJS.Dict<string | string[]> = {};
  await at.serve("a", (request, response) => {
    seen = request.headers;
    response.writeHead(200, [
      "Connection",
      "X-Gone",
      "X-Gone",
      "1",
      "Keep-Alive",
      "timeout=9",
      "Proxy-Authenticate",
      "x",
      "X-Stays",
      "1",
    ]);
    response.end("ok");
  });
  const talk = await at.dial();
  talk.socket.write(
    `POST /?s=a HTTP/1.1\r\nHost: h\r\nConnection: X-Hop, Host, Content-Length\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi`,
  );
  const answer = await talk.until("ok");
  expect(seen).toMatchObject({ host: "h", "content-length": "2", te: "trailers", connection: "keep-alive, TE" });
  for (const name of ["x-hop", "keep-alive", "proxy-authorization", "upgrade"])
    expect(Object.keys(seen)).not.toContain(name);
  expect(answer).toContain("X-Stays: 1");
  expect(answer).not.toMatch(/X-Gone|timeout=9|Proxy-Authenticate/);
});

test("after stopAccepting nobody new is taken, and those who are there are served and told to close", async () => {
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: h\r\n\r\n`);
  expect(await talk.until("GET /?s=a")).toContain("Connection: keep-alive");
  await at.front.stopAccepting();
  await expect(dial(at.port)).rejects.toThrow("ECONNREFUSED");
  talk.socket.write("GET /second?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
  const answer = await talk.ended;
  expect(answer).toContain("Connection: close");
  expect(answer).toContain("GET /second");
});

test("closing destroys what is under way on both sides, and gives every hold back", async () => {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  await at.serve("a", (_request, response) => {
    response.write("begun");
    response.on("close", resolve);
  });
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: h\r\n\r\n`);
  await talk.until("begun");
  await at.front.close();
  await gone;
  await talk.gone;
  await at.holder.allDone(1);
  expect(at.front.traffic().connections).toBe(0);
});

test("a hold that is given only after its client has gone is given back at once", async () => {
  const { promise, resolve: give } = Promise.withResolvers<void>();
  at.holder.before = promise;
  const talk = await at.dial();
  talk.socket.write(`${GET}Host: h\r\n\r\n`);
  while (at.front.traffic().requests === 0) await new Promise((resolve) => setImmediate(resolve));
  talk.socket.destroy();
  while (at.front.traffic().connections > 0) await new Promise((resolve) => setImmediate(resolve));
  give();
  await at.holder.allDone(1);
  expect(at.front.traffic().connections).toBe(0);
});

test("a taken port and an address that is not ours are told apart", async () => {
  const other = await openFixture();
  at.ending(() => other.close());
  const front = createFront({
    holder: at.holder,
    limits: { headBytes: 16_384, headTimeoutMs: 1000 },
    trustForwarded: false,
    secret: Buffer.alloc(32),
  });
  await expect(front.listen("127.0.0.1", at.port)).rejects.toMatchObject({ code: "PORT_TAKEN" });
  await expect(front.listen("203.0.113.1", 0)).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  await front.close();
});

test("a client that resets in every state costs nobody else anything", async () => {
  await at.serve("a", () => {});
  for (const words of ["", "GET", `${GET}Host: h\r\n\r\n`, `${POST}Content-Length: 10\r\n\r\nabc`]) {
    const talk = await at.dial();
    talk.socket.write(words);
    await new Promise((resolve) => setImmediate(resolve));
    talk.socket.resetAndDestroy();
    await talk.gone;
  }
  expect((await at.ask({ path: "/?s=other" })).body).toBe("GET /?s=other");
  await at.holder.until(() => at.holder.open.length === 0);
});

test("a session's label is read from its first request, and one that is given twice is refused as a key is", async () => {
  const label = { from: [{ header: "x-kind" }], values: ["support"] };
  at.holder.services = [service("rooms", { label })];
  await at.ask({ path: "/?s=a", headers: { "x-kind": "support" } });
  await at.ask({ path: "/?s=b", headers: { "x-kind": "sales" } });
  expect(at.holder.held.map((held) => held.label)).toEqual(["support", null]);
  const talk = await at.dial();
  talk.socket.write("GET /?s=c HTTP/1.1\r\nHost: h\r\nX-Kind: support\r\nX-Kind: sales\r\n\r\n");
  await talk.until("REQUEST_MALFORMED");
  expect(at.holder.held).toHaveLength(2);
});

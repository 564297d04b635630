import { once } from "node:events";
import { request, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openFixture, service, type Fixture } from "./front-fixture.ts";

const WAITS = { connectMs: 1000, closeMs: 200, finishMs: 200 };
let at: Fixture;
beforeEach(async () => {
  at = await openFixture({ waits: WAITS });
});
afterEach(() => at.close());

const GET = "GET /?s=a HTTP/1.1\r\nHost: h\r\n\r\n";

describe("bodies", () => {
  test("trailers reach the other end, both ways, and not those that would change the message", async () => {
    let seen: string[] = [];
    await at.serve("a", async (asked, response) => {
      for await (const _ of asked);
      seen = asked.rawTrailers;
      response.writeHead(200, { Trailer: "X-Sum" });
      response.write("body");
      response.addTrailers([["X-Sum", "7"]]);
      response.end();
    });
    const talk = await at.dial();
    talk.socket.write(
      "POST /?s=a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n2\r\nhi\r\n0\r\nX-Up: 1\r\nHost: evil\r\n\r\n",
    );
    const answer = await talk.until("X-Sum: 7");
    expect(answer).toContain("Trailer: X-Sum");
    expect(answer).toMatch(/4\r\nbody\r\n0\r\nX-Sum: 7\r\n/);
    expect(seen).toEqual(["X-Up", "1"]);
    await at.holder.allDone(1);
  });

  test("a body without a length, a GET with a body, and a POST with none arrive as they were sent", async () => {
    const seen: unknown[] = [];
    await at.serve("a", async (asked, response) => {
      let body = "";
      for await (const chunk of asked) body += String(chunk);
      seen.push([asked.method, asked.headers["content-length"], asked.headers["transfer-encoding"], body]);
      response.end("ok");
    });
    await at.ask({ path: "/?s=a", method: "PUT", headers: { "transfer-encoding": "chunked" }, body: "abc" });
    await at.ask({ path: "/?s=a", method: "GET", headers: { "content-length": 3 }, body: "abc" });
    const talk = await at.dial();
    talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    await talk.until("ok");
    expect(seen).toEqual([
      ["PUT", undefined, "chunked", "abc"],
      ["GET", "3", undefined, "abc"],
      ["POST", undefined, undefined, ""],
    ]);
  });

  test("an instance is told the session and its fence, whatever the client says of them", async () => {
    const seen: unknown[] = [];
    await at.serve("a", (asked, response) => {
      seen.push(asked.rawHeaders.filter((_, index, all) => /holdover/i.test(all[index - (index % 2)] ?? "")));
      response.end("ok");
    });
    await at.ask({
      path: "/?s=a",
      headers: {
        "Holdover-Request": "r-1",
        "Holdover-Fence": "9",
        holdover_session: "b",
        "Holdover-Label": "c",
        "Holdover-Other": "x",
      },
    });
    at.holder.services = [service("rooms", { label: { from: [{ query: "kind" }], values: ["ärztlich"] } })];
    await at.ask({ path: "/?s=a&kind=%C3%A4rztlich", headers: { "x-request-id": "r-2" } });
    const told = ["Holdover-Session", "a", "Holdover-Fence", "1"];
    expect(seen).toEqual([
      ["Holdover-Other", "x", ...told, "Holdover-Request", "r-1"],
      [...told, "Holdover-Label", "%C3%A4rztlich", "Holdover-Request", "r-2"],
    ]);
  });

  test("HEAD, 204 and 304 have no body, the length of what would have been one is kept, and the connection goes on", async () => {
    await at.serve("a", (asked, response) => {
      if (asked.url?.startsWith("/204")) response.writeHead(204, { "X-A": "1" });
      else if (asked.url?.startsWith("/304")) response.writeHead(304, { "Content-Length": 5, ETag: '"x"' });
      else response.writeHead(200, { "Content-Length": 5 });
      response.end(asked.method === "HEAD" || asked.url?.startsWith("/?") === false ? undefined : "hello");
    });
    const talk = await at.dial();
    talk.socket.write("HEAD /?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(await talk.until("\r\n\r\n")).toContain("Content-Length: 5");
    talk.socket.write("GET /204?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    expect((await talk.until("204 No Content")).split("204 No Content")[1]).not.toContain("Content-Length");
    talk.socket.write("GET /304?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
    await talk.until('ETag: "x"');
    talk.socket.write(GET);
    await talk.until("hello");
    expect(talk.heard().match(/HTTP\/1\.1 \d+/g)).toEqual([
      "HTTP/1.1 200",
      "HTTP/1.1 204",
      "HTTP/1.1 304",
      "HTTP/1.1 200",
    ]);
  });

  test("names keep their case, repeated fields stay apart, and a status keeps its own words", async () => {
    await at.serve("a", (_, response) => {
      response.sendDate = false;
      response.writeHead(299, "Fine By Me", ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "x-lower", "é", "X-UPPER", "2"]);
      response.end();
    });
    const answer = await at.ask({ path: "/?s=a" });
    expect([answer.status, answer.message]).toEqual([299, "Fine By Me"]);
    expect(answer.raw.slice(0, 8)).toEqual(["Set-Cookie", "a=1", "Set-Cookie", "b=2", "x-lower", "é", "X-UPPER", "2"]);
  });

  test("a client of HTTP/1.0 gets a body that ends with its connection, and is cut off visibly where it breaks", async () => {
    const answers: ServerResponse[] = [];
    await at.serve("a", (_, response) => {
      response.write("part");
      answers.push(response);
    });
    const whole = await at.dial();
    whole.socket.write("GET /?s=a HTTP/1.0\r\n\r\n");
    await whole.until("part");
    answers[0]?.end(" and rest");
    expect(await whole.ended).toMatch(/Connection: close\r\n\r\npart and rest$/);
    const broken = await at.dial();
    broken.socket.write("GET /?s=a HTTP/1.0\r\n\r\n");
    await broken.until("part");
    answers[1]?.destroy();
    await expect(broken.ended).rejects.toThrow("ECONNRESET");
  });

  test("200 MB for a reader that does not read stay with the sender: neither end's bytes pile up here", async () => {
    const block = Buffer.alloc(1 << 20);
    const total = 200;
    let written = 0;
    const { promise: stall, resolve: stalled } = Promise.withResolvers<void>();
    await at.serve("a", async (_, response) => {
      for (; written < total; written++) {
        if (response.write(block)) continue;
        // Full all the way: the kernel's buffers, and the router's.
        const drained = once(response, "drain").then(() => "drained");
        if ((await Promise.race([drained, idle(response)])) === "idle") stalled();
        await drained;
      }
      response.end();
    });
    const talk = request({ host: "127.0.0.1", port: at.port, path: "/?s=a", agent: false });
    talk.end();
    const [answer] = (await once(talk, "response")) as [IncomingMessage];
    answer.pause();
    await stall;
    // What is not with the sender any more is in buffers: kernel's of two connections (some MB each), and streams.
    expect(written).toBeLessThan(40);
    let got = 0;
    answer.on("data", (chunk: Buffer) => (got += chunk.length));
    answer.resume();
    await once(answer, "end");
    expect(got).toBe(total << 20);
    await at.holder.allDone(1);
  });

  test("an upload to an instance that does not read stays with the client", async () => {
    const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
    await at.serve("a", (request, response) => {
      resolve(request);
      request.pause();
      request.on("end", () => response.end("got it"));
    });
    const talk = await at.dial();
    const total = 64 << 20;
    talk.socket.write(`POST /?s=a HTTP/1.1\r\nHost: h\r\nContent-Length: ${total}\r\n\r\n`);
    talk.socket.write(Buffer.alloc(total));
    const asked = await promise;
    await idle(talk.socket);
    expect(talk.socket.writableLength).toBeGreaterThan(0);
    asked.resume();
    await talk.until("got it");
    await at.holder.allDone(1);
  });
});

/** Resolves once nothing has moved on a stream for a while. */
async function idle(stream: { writableLength: number } & (ServerResponse | Socket)): Promise<string> {
  const socket = "socket" in stream ? stream.socket : stream;
  let last = -1;
  for (let quiet = 0; quiet < 50;) {
    const now = socket?.bytesWritten ?? 0;
    const queued = socket?.writableLength ?? 0;
    quiet = now - queued === last ? quiet + 1 : 0;
    last = now - queued;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return "idle";
}

describe("interim answers", () => {
  test("103 and a number that nobody knows yet are passed on with all their fields, before the answer", async () => {
    await at.serveRaw("a", (socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Other: 1\r\n\r\n");
        socket.write("HTTP/1.1 104 Upload Resumption\r\nUpload-Offset: 3\r\n\r\n");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    const talk = await at.dial();
    talk.socket.write(GET);
    await talk.until("\r\n\r\nok");
    expect(talk.heard()).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\nX-Other: 1\r\n\r\nHTTP\/1\.1 104 Upload Resumption\r\nUpload-Offset: 3\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
  });

  test("a client of HTTP/1.0 is spared them", async () => {
    await at.serve("a", (_, response) => {
      response.writeEarlyHints({ link: "</a>; rel=preload" });
      response.end("ok");
    });
    const talk = await at.dial();
    talk.socket.write("GET /?s=a HTTP/1.0\r\n\r\n");
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test("100-continue is the instance's to say: the body waits for it", async () => {
    const seen: string[] = [];
    const server = await at.serve("a", () => {});
    server.on("checkContinue", (asked, response: ServerResponse) => {
      seen.push(`asked ${asked.headers.expect}`);
      asked.on("data", (chunk) => seen.push(String(chunk)));
      asked.on("end", () => response.end("got it"));
      response.writeContinue();
    });
    const talk = await at.dial();
    talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    expect(await talk.until("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    expect(seen).toEqual(["asked 100-continue"]);
    talk.socket.write("body");
    expect(await talk.until("got it")).toContain("Connection: keep-alive");
    expect(seen).toEqual(["asked 100-continue", "body"]);
  });

  test("100-continue refused: the client gets the 417 without having sent its body, and the connection is closed", async () => {
    const server = await at.serve("a", () => {});
    server.on("checkContinue", (_, response: ServerResponse) => {
      response.writeHead(417);
      response.end("too big");
    });
    const talk = await at.dial();
    talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    const answer = await talk.ended;
    expect(answer).toMatch(/^HTTP\/1\.1 417 Expectation Failed\r\n/);
    expect(answer).toContain("Connection: close");
    expect(answer).toContain("too big");
    await at.holder.allDone(1);
  });
});

test("events reach the client one by one, as they are sent, the head before the first", async () => {
  let response: ServerResponse | undefined;
  await at.serve("a", (_, answer) => {
    answer.writeHead(200, { "Content-Type": "text/event-stream" });
    answer.flushHeaders();
    response = answer;
  });
  const talk = await at.dial();
  talk.socket.write(GET);
  await talk.until("text/event-stream");
  for (const event of ["one", "two", "three"]) {
    response?.write(`data: ${event}\n\n`);
    expect(await talk.until(`data: ${event}\n\n`)).toMatch(new RegExp(`data: ${event}\n\n\r\n$`));
  }
});

test("a client that sends its body only when it has heard from the instance is not waited for", async () => {
  await at.serve("a", (asked, response) => {
    response.write("ready");
    asked.pipe(response);
  });
  const talk = await at.dial();
  talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n");
  await talk.until("ready");
  talk.socket.write("body");
  expect(await talk.until("0\r\n\r\n")).toContain("body");
  await at.holder.allDone(1);
});

test("an answer that comes before the upload is over does not stop the upload", async () => {
  let got = "";
  const { promise: all, resolve } = Promise.withResolvers<void>();
  await at.serve("a", (asked, response) => {
    response.end("taken");
    asked.on("data", (chunk) => (got += String(chunk)));
    asked.on("end", resolve);
  });
  const talk = await at.dial();
  talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
  await talk.until("taken");
  expect(at.holder.open).toHaveLength(1);
  talk.socket.write("67890");
  await all;
  expect(got).toBe("1234567890");
  await at.holder.allDone(1);
  talk.socket.write("GET /again?s=a HTTP/1.1\r\nHost: h\r\n\r\n");
  await at.holder.allDone(2);
});

describe("aborts", () => {
  test("a client that goes takes its request to the instance with it", async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    await at.serve("a", (asked, response) => {
      asked.on("error", () => {});
      response.on("close", resolve);
      begin();
    });
    const talk = await at.dial();
    talk.socket.write("POST /?s=a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123");
    await begun;
    talk.socket.destroy();
    await aborted;
    await at.holder.allDone(1);
    expect(at.front.traffic().refused).toEqual({});
  });

  test.for([
    ["with a length", { "Content-Length": "100" }],
    ["in chunks", {}],
  ] as const)("an instance that goes in the middle of a body %s leaves it visibly cut short", async ([, fields]) => {
    const { promise: answering, resolve } = Promise.withResolvers<ServerResponse>();
    await at.serve("a", (_, response) => {
      response.writeHead(200, fields);
      response.write("part");
      resolve(response);
    });
    const failed = at.ask({ path: "/?s=a" });
    failed.catch(() => {});
    (await answering).destroy();
    await expect(failed).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await at.holder.allDone(1);
  });
});

describe("an instance that is not there", () => {
  test("refuses the connection: 502, and its session's holder is told", async () => {
    const gone = await at.serve("a", () => {});
    await new Promise((resolve) => gone.close(resolve));
    const answer = await at.ask({ path: "/?s=a" });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "INSTANCE_UNREACHABLE" } });
    expect(at.holder.reported).toEqual(["a"]);
    await at.holder.allDone(1);
  });

  test("resets a new connection: 502, told, and the request is not sent again", async () => {
    let connections = 0;
    await at.serveRaw("a", (socket) => {
      connections += 1;
      socket.once("data", () => socket.resetAndDestroy());
    });
    expect((await at.ask({ path: "/?s=a" })).status).toBe(502);
    expect([connections, at.holder.reported]).toEqual([1, ["a"]]);
  });

  test("answers what is no HTTP, or under a coding that would be lost: 502", async () => {
    await at.serveRaw("a", (socket) => socket.once("data", () => socket.end("hello\r\n")));
    await at.serveRaw("b", (socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
    );
    for (const key of ["a", "b"]) expect((await at.ask({ path: `/?s=${key}` })).status).toBe(502);
    expect(at.holder.reported).toEqual([]);
  });

  test("refuses while a body is being sent: the client gets to read the 502 all the same", async () => {
    const gone = await at.serve("a", () => {});
    await new Promise((resolve) => gone.close(resolve));
    const talk = await at.dial();
    talk.socket.write(`POST /?s=a HTTP/1.1\r\nHost: h\r\nContent-Length: ${10 << 20}\r\n\r\n`);
    talk.socket.write(Buffer.alloc(4 << 20));
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 502 /);
  });
});

describe("a kept connection that the instance resets when it is used again", () => {
  let sockets: Socket[];
  let seen: string[];
  beforeEach(async () => {
    sockets = [];
    seen = [];
    await at.serveRaw("a", (socket) => {
      sockets.push(socket);
      let requests = 0;
      socket.on("data", (chunk) => {
        seen.push(chunk.toString().split(" ")[0] ?? "");
        requests += 1;
        if (requests > 1) socket.resetAndDestroy();
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    await at.ask({ path: "/?s=a" });
  });

  test("is replaced by a new one for a request that does no harm twice", async () => {
    expect(await at.ask({ path: "/?s=a" })).toMatchObject({ status: 200, body: "ok" });
    expect([sockets.length, seen]).toEqual([2, ["GET", "GET", "GET"]]);
    await at.holder.allDone(2);
  });

  test.for([
    ["a POST", { method: "POST" }],
    ["a PUT with a body", { method: "PUT", body: "x" }],
  ] as const)("costs %s an answer of 502, and it is not sent again", async ([, asked]) => {
    expect((await at.ask({ path: "/?s=a", ...asked })).status).toBe(502);
    expect(sockets.length).toBe(1);
  });
});

describe("a session that is ended", () => {
  async function answering(fields: Record<string, string>) {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    await at.serve("a", (_, response) => {
      response.on("close", leave);
      response.writeHead(200, fields);
      response.write("part");
      resolve(response);
    });
    const talk = await at.dial();
    talk.socket.write(GET);
    await talk.until("part");
    return { talk, response: await promise, left };
  }

  test.for(["moved", "cut"] as const)("ends a stream of events properly when it is %s", async (how) => {
    const { talk, left } = await answering({ "Content-Type": "text/event-stream; charset=utf-8" });
    at.holder.end(how);
    expect(await talk.until("0\r\n\r\n")).toMatch(/4\r\npart\r\n0\r\n\r\n$/);
    await left;
    await at.holder.allDone(1);
  });

  test("ends a stream of events properly when it is too old, and no other answer is one that lasts", async () => {
    const { talk, left } = await answering({ "Content-Type": "text/event-stream" });
    expect(at.holder.held.map(({ lasts }) => lasts)).toEqual([true]);
    at.holder.end("aged");
    expect(await talk.until("0\r\n\r\n")).toMatch(/4\r\npart\r\n0\r\n\r\n$/);
    await left;
    await at.holder.allDone(1);
    await answering({ "Content-Type": "text/plain" });
    expect(at.holder.held.map(({ lasts }) => lasts)).toEqual([true, false]);
  });

  test("lets an answer under way come to its end when it is moved", async () => {
    const { talk, response } = await answering({});
    at.holder.end("moved");
    response.end(" and rest");
    expect(await talk.until("0\r\n\r\n")).toMatch(/ and rest\r\n0\r\n\r\n$/);
    await at.holder.allDone(1);
  });

  test("breaks it off when it is moved and the answer does not end in time", async () => {
    const { talk, left } = await answering({});
    at.holder.end("moved");
    await left;
    await talk.gone;
    expect(talk.heard()).not.toContain("0\r\n\r\n");
    await at.holder.allDone(1);
  });

  test.for([
    ["cut", {}],
    ["lost", {}],
    ["lost", { "Content-Type": "text/event-stream" }],
  ] as const)("breaks an answer off at once when it is %s", async ([how, fields]) => {
    const { talk, left } = await answering({ ...fields });
    at.holder.end(how);
    await left;
    await talk.gone;
    expect(talk.heard()).not.toContain("0\r\n\r\n");
    await at.holder.allDone(1);
  });

  test.for(["moved", "cut", "lost"] as const)("answers 502 where nothing was answered yet: %s", async (how) => {
    const { promise: arrived, resolve } = Promise.withResolvers<void>();
    await at.serve("a", () => resolve());
    const asked = at.ask({ path: "/?s=a", method: "POST" });
    await arrived;
    at.holder.end(how);
    expect((await asked).status).toBe(502);
    await at.holder.allDone(1);
  });

  test.for(["moved", "cut", "lost"] as const)("is placed again where nothing was sent yet: %s", async (how) => {
    await at.serve("a", (_, response) => void response.end("served"));
    at.holder.joined = async ({ connection }) => {
      at.holder.joined = () => Promise.resolve();
      connection.end(how);
    };
    const answer = await at.ask({ path: "/?s=a", method: "POST", body: "once" });
    expect([answer.status, answer.body]).toEqual([200, "served"]);
    await at.holder.allDone(2);
  });

  test("answers 502 in the end where every place is lost before anything is sent", async () => {
    at.holder.joined = async ({ connection }) => connection.end("lost");
    await at.serve("a", (_, response) => void response.end("served"));
    expect((await at.ask({ path: "/?s=a" })).status).toBe(502);
    await at.holder.allDone(3);
  });
});

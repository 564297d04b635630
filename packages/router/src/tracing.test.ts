import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { context, propagation, trace, type Span } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { openFixture, service, type Fixture } from "./front-fixture.ts";
import { loadTracing } from "./tracing.ts";

/** The router on real sockets, with OpenTelemetry's own SDK in this process, and an instance that tells what it was told. */

const TRACE_ID = /^[0-9a-f]{32}$/;
const exporter = new InMemorySpanExporter();
let at: Fixture;
let told: IncomingHttpHeaders[];

function register(options: ConstructorParameters<typeof BasicTracerProvider>[0] = {}): void {
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors, ...options }));
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

beforeEach(async () => {
  told = [];
  at = await openFixture({ tracing: await loadTracing(() => {}) });
  const server = await at.serve("a", (request, response) => {
    told.push(request.headers);
    if (request.url?.includes("fails")) response.statusCode = 500;
    response.end("ok");
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    told.push(request.headers);
    socket.send("hello");
  });
});
afterEach(async () => {
  await at.close();
  trace.disable();
  propagation.disable();
  context.disable();
  exporter.reset();
});

/** What a client that traces sends with a request in a span of its own. */
function clientSpan(): { readonly headers: Record<string, string>; readonly span: Span } {
  const span = trace.getTracer("client").startSpan("call");
  const headers: Record<string, string> = {};
  propagation.inject(trace.setSpan(context.active(), span), headers);
  span.end();
  return { headers, span };
}

const named = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name);

/** The only one of a name, once it has ended. */
async function spanOf(name: string): Promise<ReadableSpan> {
  await expect.poll(() => named(name).length).toBe(1);
  return named(name)[0] as ReadableSpan;
}

/** The ids of a `traceparent`. */
function idsOf(traceparent: string | string[] | undefined) {
  const [, traceId, spanId, flags] = String(traceparent).split("-");
  return { traceId, spanId, flags };
}

describe("with an SDK", () => {
  beforeEach(() => register());

  test("the client's span, the router's and what the instance is told are one trace, over HTTP", async () => {
    const client = clientSpan();
    at.holder.placed = true;
    await at.ask({ path: "/?s=a", headers: { ...client.headers, host: "rooms.test:8080" } });
    const span = await spanOf("GET");
    const { traceId, spanId } = client.span.spanContext();
    expect(span.parentSpanContext).toMatchObject({ traceId, spanId });
    expect(span.spanContext().traceId).toBe(traceId);
    expect(idsOf(told[0]?.["traceparent"])).toEqual({ traceId, spanId: span.spanContext().spanId, flags: "01" });
    // SERVER
    expect(span.kind).toBe(1);
    expect(span.attributes).toEqual({
      "http.request.method": "GET",
      "url.scheme": "http",
      "url.path": "/",
      "server.address": "rooms.test",
      "server.port": 8080,
      "network.protocol.version": "1.1",
      "http.response.status_code": 200,
      "holdover.service": "rooms",
      "holdover.release": "v1",
      "holdover.instance": "a",
      "holdover.placed": true,
    });
  });

  test("the same over a WebSocket, whose span is over with the handshake", async () => {
    const client = clientSpan();
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/?s=a`, { headers: client.headers });
    await once(socket, "message");
    const span = await spanOf("GET");
    expect(span.attributes).toMatchObject({ "http.response.status_code": 101, "holdover.instance": "a" });
    expect(idsOf(told[0]?.["traceparent"])).toEqual({
      traceId: client.span.spanContext().traceId,
      spanId: span.spanContext().spanId,
      flags: "01",
    });
    socket.close();
    await at.holder.allDone(1);
    expect(named("GET")).toHaveLength(1);
  });

  test("giving a new session its place is a span within the request's, and joining one that has its own is none", async () => {
    let write = (): void => {};
    at.holder.before = new Promise((resolve) => (write = resolve));
    at.holder.placed = true;
    const asked = at.ask({ path: "/?s=a" });
    setTimeout(write, 20);
    await asked;
    const [request, placing] = [await spanOf("GET"), await spanOf("place session")];
    expect(placing.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    expect(placing.attributes).toEqual({ "holdover.release": "v1", "holdover.instance": "a" });
    const [seconds, nanos] = placing.duration;
    expect(seconds * 1000 + nanos / 1e6).toBeGreaterThan(15);
    at.holder.placed = false;
    await at.ask({ path: "/?s=a" });
    await expect.poll(() => named("GET").length).toBe(2);
    expect(named("place session")).toHaveLength(1);
  });

  test("what the router refuses, and what an instance fails at, are errors", async () => {
    await at.ask({ path: "/?s=nobody" });
    const refused = await spanOf("GET");
    expect(refused.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "NO_INSTANCE" });
    expect(refused.status.code).toBe(2);
    expect((await spanOf("place session")).attributes).toEqual({ "error.type": "NO_INSTANCE" });
    await at.ask({ path: "/?s=a&fails", method: "PUT" });
    const failed = await spanOf("PUT");
    expect(failed.attributes).toMatchObject({ "http.response.status_code": 500, "error.type": "500" });
    expect(failed.status.code).toBe(2);
  });

  test("a request that nobody waits for any more has a span that ends, without a status", async () => {
    await at.serveRaw("slow", () => {});
    const talk = await at.dial();
    talk.socket.write("GET /?s=slow HTTP/1.1\r\nHost: h\r\n\r\n");
    await at.holder.until(() => at.holder.held.length === 1);
    talk.socket.destroy();
    expect((await spanOf("GET")).attributes).not.toHaveProperty("http.response.status_code");
  });

  test("a stream of events has a span that is over when it begins", async () => {
    await at.serveRaw("events", (socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"));
    });
    const talk = await at.dial();
    talk.socket.write("GET /?s=events HTTP/1.1\r\nHost: h\r\n\r\n");
    await talk.until("data: 1");
    expect((await spanOf("GET")).attributes).toMatchObject({ "http.response.status_code": 200 });
  });

  test("no span has a session's key, the query or a method that somebody made up", async () => {
    at.holder.services = [service("rooms", { key: [{ path: "/rooms/:room" }, { query: "s" }] })];
    at.holder.instances["anna"] = at.holder.instances["a"] ?? { host: "", port: 0 };
    await at.ask({ path: "/rooms/anna/chat?token=secret", method: "PROPFIND" });
    const { attributes, events } = await spanOf("HTTP");
    expect(attributes).toMatchObject({ "url.path": "/rooms/:room/chat", "http.request.method": "_OTHER" });
    const text = JSON.stringify([{ ...attributes, "holdover.instance": "" }, events]);
    expect(text).not.toMatch(/anna|secret/);
  });

  test.each([
    ["of too few parts", "00-abc"],
    ["of zeros", `00-${"0".repeat(32)}-${"0".repeat(16)}-01`],
    ["that is long", "0".repeat(8000)],
    ["of strange signs", "00-\u00e4\u00f6\u00fc-x-01"],
    [
      "that comes twice",
      ["00-" + "1".repeat(32) + "-" + "2".repeat(16) + "-01", "00-" + "3".repeat(32) + "-" + "4".repeat(16) + "-01"],
    ],
  ])("a traceparent %s does no harm: a trace begins anew", async (_what, traceparent) => {
    const answer = await at.ask({ path: "/?s=a", headers: { traceparent } });
    expect(answer.status).toBe(200);
    const span = await spanOf("GET");
    expect(span.parentSpanContext).toBeUndefined();
    expect(idsOf(told[0]?.["traceparent"])).toMatchObject({
      traceId: expect.stringMatching(TRACE_ID),
      spanId: span.spanContext().spanId,
    });
  });

  test("a trace that is not sampled is carried on as that, with what vendors wrote", async () => {
    const [traceId, spanId] = ["1".repeat(32), "2".repeat(16)];
    trace.disable();
    register({ sampler: new AlwaysOffSampler() });
    await at.ask({ path: "/?s=a", headers: { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "vendor=1" } });
    expect(idsOf(told[0]?.["traceparent"])).toMatchObject({ traceId, flags: "00" });
    expect(told[0]?.["tracestate"]).toBe("vendor=1");
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  test("an SDK that fails costs spans, and no request; it is told once", async () => {
    await at.close();
    const logged: string[] = [];
    at = await openFixture({ tracing: await loadTracing((event) => logged.push(event)) });
    await at.serve("a", (_, response) => void response.end("ok"));
    const fail = (): never => {
      throw new Error("a processor's own fault");
    };
    const broken: SpanProcessor = { onStart: fail, onEnd: fail, shutdown: async () => {}, forceFlush: async () => {} };
    trace.disable();
    register({ spanProcessors: [broken] });
    for (let times = 0; times < 3; times++) expect((await at.ask({ path: "/?s=a" })).status).toBe(200);
    expect(logged).toEqual(["tracing.failed"]);
  });

  test("a line of the log names the trace", async () => {
    const client = clientSpan();
    await at.ask({ path: "/?s=nobody", headers: client.headers });
    expect(at.logged.at(-1)?.detail["trace"]).toBe(client.span.spanContext().traceId);
  });
});

describe("without an SDK, or without the API", () => {
  const sent = {
    traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
    tracestate: "vendor=1,other=2",
    baggage: "a=b",
  };
  const arrived = () => {
    const { traceparent, tracestate, baggage } = told[0] ?? {};
    return { traceparent, tracestate, baggage };
  };

  test.each([["the API alone"], ["neither"]])(
    "%s: the client's word reaches the instance untouched, over HTTP",
    async (what) => {
      if (what === "neither") await withoutApi();
      await at.ask({ path: "/?s=a", headers: sent });
      expect(arrived()).toEqual(sent);
    },
  );

  test.each([["the API alone"], ["neither"]])("%s: and over a WebSocket, malformed as it may be", async (what) => {
    if (what === "neither") await withoutApi();
    const malformed = { ...sent, traceparent: "what is this" };
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/?s=a`, { headers: malformed });
    await once(socket, "message");
    expect(arrived()).toEqual(malformed);
    socket.close();
    await at.holder.allDone(1);
  });

  async function withoutApi(): Promise<void> {
    const { holder } = at;
    const instance = holder.instances["a"];
    const bare = await openFixture({ tracing: null });
    at.ending(() => bare.close());
    if (instance) bare.holder.instances["a"] = instance;
    at = Object.assign({}, at, {
      holder: bare.holder,
      port: bare.port,
      ask: (asked: Parameters<Fixture["ask"]>[0]) => bare.ask(asked),
    });
  }
});

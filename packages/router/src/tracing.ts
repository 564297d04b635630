import type { IncomingMessage } from "node:http";
import type { Attributes, Context, Span, Tracer } from "@opentelemetry/api";
import { pathWithoutKey, problemOf, type HoldoverError, type RoutedService } from "@holdover/core";
import type { Hold } from "./hold.ts";
import type { RequestHead } from "./request-head.ts";

type Api = typeof import("@opentelemetry/api");
type Log = (event: string, detail: Record<string, unknown>) => void;

/** Methods by which a span may be named; others are told as `_OTHER`, so that nobody can make up names without end. */
const KNOWN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/**
 * Traces by OpenTelemetry, where whoever runs Holdover has its API and an SDK in this process; see docs/tracing.md. The
 * attributes are those of its semantic conventions for HTTP, and `holdover.*`. A session's key is in none.
 */
export class Tracing {
  readonly #api: Api;
  readonly #log: Log;
  #hasFailed = false;

  constructor(api: Api, log: Log) {
    this.#api = api;
    this.#log = log;
  }

  /** Begins the span of a request. Null where nobody listens, and then nothing of the request is touched. */
  begin(request: IncomingMessage, head: RequestHead, service: RoutedService, secure: boolean): RequestTrace | null {
    const tracer = this.#tracer();
    if (!tracer) return null;
    return this.guarded(() => {
      const { propagation, ROOT_CONTEXT, SpanKind, trace } = this.#api;
      const parent = propagation.extract(ROOT_CONTEXT, request.headers);
      const attributes = attributesOf(request, head, service, secure);
      const method = String(attributes["http.request.method"]);
      const name = method === "_OTHER" ? "HTTP" : method;
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
      return new RequestTrace(this, this.#api, tracer, trace.setSpan(parent, span), span);
    });
  }

  /** Whatever an SDK does wrong costs a span, and no request. */
  guarded<Value>(act: () => Value): Value | null {
    try {
      return act();
    } catch (thrown) {
      if (!this.#hasFailed) this.#log("tracing.failed", { problem: problemOf(thrown) });
      this.#hasFailed = true;
      return null;
    }
  }

  /** Null while no SDK is registered: the API gives a tracer that does nothing then, and even that would cost something. */
  #tracer(): Tracer | null {
    const provider: object = this.#api.trace.getTracerProvider();
    if (!("getDelegateTracer" in provider)) return this.#api.trace.getTracer("holdover");
    return (provider as { getDelegateTracer(name: string): Tracer | undefined }).getDelegateTracer("holdover") ?? null;
  }
}

/** The span of one request, and those within it. */
export class RequestTrace {
  readonly id: string;
  /** For the instance, names and values in turn: by them what it traces continues this. */
  readonly fields: readonly string[];
  readonly #tracing: Tracing;
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #context: Context;
  readonly #span: Span;
  readonly #replaced: ReadonlySet<string>;
  #placingSince: Date | number = 0;
  #isRefused = false;
  #isOver = false;

  constructor(tracing: Tracing, api: Api, tracer: Tracer, context: Context, span: Span) {
    this.#tracing = tracing;
    this.#api = api;
    this.#tracer = tracer;
    this.#context = context;
    this.#span = span;
    this.id = span.spanContext().traceId;
    const fields: string[] = [];
    api.propagation.inject(context, fields, { set: (carrier, name, value) => void carrier.push(name, value) });
    this.fields = fields;
    // A propagator that has nothing to say leaves the client's word as it is.
    this.#replaced = new Set(fields.length > 0 ? api.propagation.fields().map((name) => name.toLowerCase()) : []);
  }

  /** Whether a field of the client, by its lower-case name, is one that ours take the place of. */
  replaces(name: string): boolean {
    return this.#replaced.has(name);
  }

  placing(): void {
    this.#placingSince = performance.now();
  }

  held({ release, instance, placed }: Hold): void {
    if (this.#isOver) return;
    this.#tracing.guarded(() => {
      this.#span.setAttributes({
        "holdover.release": release,
        "holdover.instance": instance,
        "holdover.placed": placed,
      });
      if (placed) this.#child("place session", { "holdover.release": release, "holdover.instance": instance }).end();
    });
  }

  /** @param atPlacing the session got no place */
  refused({ code, status }: HoldoverError, atPlacing: boolean): void {
    if (this.#isOver) return;
    this.#isRefused = true;
    this.#tracing.guarded(() => {
      const { ERROR } = this.#api.SpanStatusCode;
      if (atPlacing) {
        const child = this.#child("place session", { "error.type": code });
        child.setStatus({ code: ERROR, message: code });
        child.end();
      }
      this.#span.setAttribute("error.type", code);
      if (status >= 500) this.#span.setStatus({ code: ERROR, message: code });
    });
  }

  /** Ends the span; the second call does nothing. @param status what the client was answered; null: nothing */
  over(status: number | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tracing.guarded(() => {
      if (status !== null) this.#span.setAttribute("http.response.status_code", status);
      if (status !== null && status >= 500 && !this.#isRefused) {
        this.#span.setAttribute("error.type", String(status));
        this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
      }
      this.#span.end();
    });
  }

  #child(name: string, attributes: Attributes): Span {
    return this.#tracer.startSpan(name, { attributes, startTime: this.#placingSince }, this.#context);
  }
}

/** The API, where it can be imported from here; null where it is not installed. */
export async function loadTracing(log: Log): Promise<Tracing | null> {
  try {
    return new Tracing(await import("@opentelemetry/api"), log);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND")
      log("tracing.failed", { problem: problemOf(thrown) });
    return null;
  }
}

function attributesOf(
  request: IncomingMessage,
  { method, path, host, hostField }: RequestHead,
  service: RoutedService,
  secure: boolean,
): Attributes {
  const port = /:(\d+)$/.exec(hostField ?? "")?.[1];
  const isKnown = KNOWN_METHODS.has(method);
  return {
    "http.request.method": isKnown ? method : "_OTHER",
    ...(!isKnown && { "http.request.method_original": method }),
    "url.scheme": secure ? "https" : "http",
    "url.path": pathWithoutKey(service.key, path),
    "server.address": host,
    ...(port !== undefined && { "server.port": Number(port) }),
    "network.protocol.version": request.httpVersion,
    "holdover.service": service.name,
  };
}

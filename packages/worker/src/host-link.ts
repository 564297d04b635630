import { createConnection, type Socket } from "node:net";
import {
  asHoldoverError,
  encodeWorkerMessage,
  errorFromBody,
  HoldoverError,
  LineReader,
  LINK_LINE_BYTES,
  readCertificate,
  readFromHost,
  renewalAtMs,
  signHello,
  WORKER_CALLS,
  WORKER_PROTOCOL,
  type ErrorBody,
  type FormatDeclaration,
  type FromHost,
  type FromWorker,
  type HostCall,
  type SignedText,
  type WorkerCall,
} from "@holdover/core";
import { makeOwnKey } from "./own-key.ts";

/** A call is given up after this, ms, a link that breaks and comes back included. */
const CALL_MS = 15_000;
/** How soon a broken link is opened again, ms; after that each time twice as late. */
const AGAIN_MS = 50;
const AGAIN_MOST_MS = 500;
/** The same after a refusal: it does not go away by itself in a moment. */
const REFUSED_MS = 15_000;
/** Before a certificate is asked for once more where that failed. */
const RENEW_AGAIN_MS = 10_000;

/** What this process is, as Holdover told it in its environment. */
interface HostLinkSettings {
  readonly socketPath: string;
  readonly instance: string;
  readonly joinToken: string;
}

export interface HostLinkOptions extends HostLinkSettings {
  readonly formats: readonly FormatDeclaration[];
  /** What a hello says besides who it is. */
  readonly state: () => {
    readonly takesJobs: boolean;
    readonly ready: boolean;
    readonly draining: boolean;
    readonly sessions: readonly { readonly key: string; readonly fence: number; readonly endsWith: boolean }[];
  };
  /** What the host asks. What it throws goes back as the answer. */
  readonly handle: (call: HostCall) => unknown;
  readonly welcomed: (welcome: Extract<FromHost, { readonly type: "welcome" }>) => void;
  readonly table: (table: SignedText) => void;
  readonly olderVersions: (versions: Readonly<Record<string, readonly number[]>>) => void;
  /** The link broke: what was under way between the two ends is over. */
  readonly broken: () => void;
  readonly warn: (text: string) => void;
}

/** The worker's end of the worker link. */
export interface HostLink {
  /** Resolves with the first welcome. @throws HoldoverError MEMBER_REJECTED where this process is not let in */
  readonly joined: Promise<void>;
  /**
   * Asks the host. While the link is broken the question waits and is asked again: each may be asked twice with the effect
   * of once. @throws HoldoverError LINK_DOWN after 15 s, LINK_BUSY while 1,000 wait, and what the host answers
   */
  readonly call: (call: WorkerCall) => Promise<unknown>;
  close(): void;
}

interface Waiting {
  readonly call: WorkerCall;
  readonly settle: (result: { readonly value: unknown } | { readonly error: HoldoverError }) => void;
}

export function openHostLink(options: HostLinkOptions): HostLink {
  const key = makeOwnKey();
  const joined = Promise.withResolvers<void>();
  // Whoever does not wait for it hears of a refusal by `warn`.
  joined.promise.catch(() => {});
  /** Those that have no answer, in the order in which they were asked. */
  const waiting = new Set<Waiting>();
  let asked = new Map<number, Waiting>();
  let lastId = 0;
  let socket: Socket | null = null;
  let welcome = false;
  let everWelcome = false;
  let closed = false;
  let failures = 0;
  let certificate: SignedText | null = null;
  let renewal: NodeJS.Timeout | undefined;
  let again: NodeJS.Timeout | undefined;

  const send = (message: FromWorker): void => {
    if (socket?.writable) socket.write(encodeWorkerMessage(message));
  };

  const ask = (one: Waiting): void => {
    lastId += 1;
    asked.set(lastId, one);
    send({ type: "call", id: lastId, call: one.call });
  };

  const call = (what: WorkerCall): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(new HoldoverError("LINK_DOWN"));
      if (waiting.size >= WORKER_CALLS) return reject(new HoldoverError("LINK_BUSY", { limit: WORKER_CALLS }));
      const timeout = setTimeout(() => one.settle({ error: new HoldoverError("LINK_DOWN") }), CALL_MS);
      const one: Waiting = {
        call: what,
        settle: (result) => {
          clearTimeout(timeout);
          waiting.delete(one);
          if ("error" in result) reject(result.error);
          else resolve(result.value);
        },
      };
      waiting.add(one);
      if (welcome) ask(one);
    });

  const renewAt = (signed: SignedText): void => {
    clearTimeout(renewal);
    const content = readCertificate(signed);
    if (!content) return;
    renewal = setTimeout(() => void renew(), Math.max(0, renewalAtMs(content) - Date.now()));
    renewal.unref();
  };

  const renew = async (): Promise<void> => {
    if (!certificate) return;
    try {
      certificate = (await call({ name: "renew", certificate })) as SignedText;
      renewAt(certificate);
    } catch (thrown) {
      options.warn(`the certificate of this worker could not be renewed: ${asHoldoverError(thrown).message}`);
      renewal = setTimeout(() => void renew(), RENEW_AGAIN_MS);
      renewal.unref();
    }
  };

  const answer = async (id: number, asks: HostCall): Promise<void> => {
    try {
      send({ type: "reply", id, value: await options.handle(asks) });
    } catch (thrown) {
      send({ type: "reply", id, error: asHoldoverError(thrown).body() });
    }
  };

  const receive = (message: FromHost): void => {
    switch (message.type) {
      case "challenge": {
        const { instance, joinToken } = options;
        const token = certificate ? null : joinToken;
        const hello = signHello(message, { instance, atMs: Date.now(), token, certificate }, key);
        return send({
          type: "hello",
          protocol: WORKER_PROTOCOL,
          ...hello,
          formats: [...options.formats],
          ...helloState(),
        });
      }
      case "welcome":
        failures = 0;
        welcome = true;
        everWelcome = true;
        if (message.certificate) {
          certificate = message.certificate;
          renewAt(certificate);
        }
        options.welcomed(message);
        joined.resolve();
        for (const one of waiting) ask(one);
        return;
      case "table":
        if (message.table) options.table(message.table);
        return;
      case "older-versions":
        return options.olderVersions(message.versions);
      case "refused": {
        const error = errorFromBody(message.error as ErrorBody);
        if (!message.final) return options.warn(error.message);
        // Control has to say who it is, and is away: that may be over in a moment.
        if (error.code === "LINK_DOWN") return;
        failures = -1;
        options.warn(error.message);
        if (!everWelcome && error.code === "MEMBER_REJECTED") joined.reject(error);
        return;
      }
      case "call":
        return void answer(message.id, message.call);
      case "reply": {
        const one = asked.get(message.id);
        asked.delete(message.id);
        one?.settle(message.error ? { error: errorFromBody(message.error as ErrorBody) } : { value: message.value });
      }
    }
  };

  const helloState = () => {
    const { sessions, ...state } = options.state();
    return { ...state, sessions: [...sessions] };
  };

  const open = (): void => {
    const opened = createConnection(options.socketPath);
    const reader = new LineReader(LINK_LINE_BYTES);
    socket = opened;
    // What the link is for holds the process: a server, a job, a call that waits for its answer.
    opened.unref();
    opened.setEncoding("utf8");
    opened.on("data", (chunk: string) => {
      try {
        for (const line of reader.feed(chunk)) receive(readFromHost(line));
      } catch (thrown) {
        options.warn(`the host said what this worker cannot read: ${asHoldoverError(thrown).message}`);
        opened.destroy();
      }
    });
    // `close` follows, and opens it again.
    opened.on("error", () => {});
    opened.once("close", () => {
      if (welcome) options.broken();
      welcome = false;
      asked = new Map();
      lastId = 0;
      if (closed) return;
      const delay = failures < 0 ? REFUSED_MS : Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** failures);
      failures = Math.min(Math.max(failures, 0) + 1, 10);
      // Spread: all workers of a host lose their links in the same moment.
      again = setTimeout(open, delay * (0.5 + Math.random() / 2));
      again.unref();
    });
  };

  open();
  return {
    joined: joined.promise,
    call,
    close: () => {
      closed = true;
      clearTimeout(again);
      clearTimeout(renewal);
      for (const one of waiting) one.settle({ error: new HoldoverError("LINK_DOWN") });
      joined.reject(new HoldoverError("LINK_DOWN"));
      socket?.destroy();
    },
  };
}

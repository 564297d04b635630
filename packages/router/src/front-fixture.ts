import { once } from "node:events";
import {
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
  type Server,
} from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { HoldoverError, type RoutedService, type RoutingTable } from "@holdover/core";
import { createFront, type Front, type FrontOptions } from "./front.ts";
import type { EndHow, HeldConnection, Hold, LabelReader, SessionHolder } from "./hold.ts";
import { WAITS } from "./waits.ts";

/** For the tests of the front alone: real sockets on both sides, and a holder that maps keys to servers. */

export const SECRET = Buffer.alloc(32, 7);

export function service(name: string, more: Partial<RoutedService> = {}): RoutedService {
  return {
    name,
    hosts: [],
    path: "/",
    key: [{ query: "s" }, { header: "x-session" }],
    label: null,
    disconnects: { atOnce: 1, periodMs: 1000 },
    lingerMs: 60_000,
    connectionAge: null,
    releases: [],
    ...more,
  };
}

interface Held {
  readonly key: string | null;
  readonly connection: HeldConnection;
  readonly label: string | null;
  lasts: boolean;
  done: number;
}

/** Every key lives on `instances[key]`, else on `instances.default`. It keeps account of what was held. */
class MapHolder implements SessionHolder {
  readonly instances: Record<string, { host: string; port: number }> = {};
  readonly held: Held[] = [];
  readonly reported: string[] = [];
  services: RoutedService[] = [service("rooms")];
  /** Whether sessions are told to have been given their place just now. */
  placed = false;
  /** Awaited before a session is joined. */
  before: Promise<void> = Promise.resolve();
  /** Whether an instance that was reported has died, to be told when it was looked at. */
  died: (instance: string) => Promise<boolean> | boolean = () => false;
  /** Awaited when a session has been joined, before its hold is given. */
  joined: (held: Held) => Promise<void> = () => Promise.resolve();
  #watchers: (() => void)[] = [];

  table(): RoutingTable {
    return { number: 1, services: this.services };
  }

  async hold(_service: RoutedService, key: string, connection: HeldConnection, label?: LabelReader): Promise<Hold> {
    return this.#join(key, connection, label);
  }

  async holdConnection(_service: RoutedService, connection: HeldConnection, label?: LabelReader): Promise<Hold> {
    return this.#join(null, connection, label);
  }

  async unreachable(instance: string): Promise<boolean> {
    this.reported.push(instance);
    return this.died(instance);
  }

  get open(): Held[] {
    return this.held.filter((held) => held.done === 0);
  }

  /** Ends the one hold that is open. */
  end(how: EndHow): void {
    const [held, ...more] = this.open;
    if (!held || more.length > 0) throw new Error(`${this.open.length} holds are open, and not one`);
    held.connection.end(how);
  }

  async until(what: () => boolean): Promise<void> {
    while (!what()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Resolves when every hold was given back; throws where one was given back twice. */
  async allDone(count: number): Promise<void> {
    await this.until(() => this.held.length >= count && this.open.length === 0);
    const twice = this.held.filter((held) => held.done !== 1);
    if (twice.length > 0 || this.held.length !== count) {
      throw new Error(`${this.held.length} holds, given back ${this.held.map((held) => held.done).join()} times`);
    }
  }

  async #join(key: string | null, connection: HeldConnection, label: LabelReader = () => null): Promise<Hold> {
    await this.before;
    const name = key !== null && key in this.instances ? key : "default";
    const at = this.instances[name];
    if (!at) throw new HoldoverError("NO_INSTANCE", { service: "rooms" });
    const held: Held = { key, connection, label: label(), lasts: false, done: 0 };
    this.held.push(held);
    this.#changed();
    await this.joined(held);
    return {
      key: name,
      release: "v1",
      instance: name,
      ...at,
      fence: 1,
      label: held.label,
      placed: this.placed,
      lasts: () => {
        held.lasts = true;
      },
      done: () => {
        held.done += 1;
        this.#changed();
      },
    };
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }
}

export interface Fixture {
  readonly holder: MapHolder;
  readonly front: Front;
  readonly port: number;
  readonly logged: { event: string; detail: Record<string, unknown> }[];
  /** Starts an instance and gives it the key. */
  serve(key: string, answer: (...told: Parameters<RequestListener>) => Promise<void> | void): Promise<Server>;
  /** The same, on bare TCP. */
  serveRaw(key: string, talk: (socket: Socket) => void): Promise<void>;
  /** A client's connection. */
  dial(): Promise<Talk>;
  ask(options: RequestOptions & { body?: string | Buffer }): Promise<Answer>;
  /** Registers what the fixture is to end. */
  ending(end: () => Promise<void> | void): void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly message: string;
  readonly headers: IncomingMessage["headers"];
  readonly raw: string[];
  readonly trailers: string[];
  readonly body: string;
}

export async function openFixture(options: Partial<FrontOptions> = {}): Promise<Fixture> {
  const holder = new MapHolder();
  const logged: Fixture["logged"] = [];
  const endings: (() => Promise<void> | void)[] = [];
  const front = createFront({
    holder,
    limits: { headBytes: 16_384, headTimeoutMs: 10_000 },
    trustForwarded: false,
    secret: SECRET,
    log: (event, detail) => logged.push({ event, detail }),
    waits: WAITS,
    ...options,
  });
  const { port } = await front.listen("127.0.0.1", 0);
  return {
    holder,
    front,
    port,
    logged,
    serve: async (key, answer) => {
      const server = createServer((asked, response) => void answer(asked, response)).listen(0, "127.0.0.1");
      await once(server, "listening");
      holder.instances[key] = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
      endings.push(() => {
        server.closeAllConnections();
        server.close();
      });
      return server;
    },
    serveRaw: async (key, talk) => {
      const sockets = new Set<Socket>();
      const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        talk(socket);
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      holder.instances[key] = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
      endings.push(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
    },
    dial: async () => {
      const talk = await dial(port);
      endings.push(() => void talk.socket.destroy());
      return talk;
    },
    ask: (asked) => ask(port, asked),
    ending: (end) => endings.push(end),
    close: async () => {
      for (const end of endings.reverse()) await end();
      await front.close();
    },
  };
}

/** One request on a connection of its own. */
function ask(port: number, { body, ...options }: RequestOptions & { body?: string | Buffer }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, agent: false, ...options }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () =>
        resolve({
          status: answer.statusCode ?? 0,
          message: answer.statusMessage ?? "",
          headers: answer.headers,
          raw: answer.rawHeaders,
          trailers: answer.rawTrailers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A bare TCP conversation, what was heard so far kept as bytes. */
export interface Talk {
  readonly socket: Socket;
  readonly heard: () => string;
  readonly bytes: () => Buffer;
  /** Resolves when what was heard contains the text. Rejects when the peer ends before. */
  readonly until: (text: string) => Promise<string>;
  /** Resolves with the number of bytes heard being at least this. */
  readonly untilBytes: (count: number) => Promise<Buffer>;
  /** Resolves at the peer's FIN: "end"; or rejects at a reset. */
  readonly ended: Promise<string>;
  /** Resolves when the peer has ended or reset the connection. */
  readonly gone: Promise<void>;
}

export async function dial(port: number): Promise<Talk> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  await once(socket, "connect");
  return talkOn(socket);
}

export function talkOn(socket: Socket): Talk {
  const chunks: Buffer[] = [];
  let over = false;
  let watchers: (() => void)[] = [];
  const changed = () => {
    const waiting = watchers;
    watchers = [];
    for (const watcher of waiting) watcher();
  };
  const bytes = () => Buffer.concat(chunks);
  const heard = () => bytes().toString("latin1");
  const gone = new Promise<void>((resolve) => {
    socket.once("end", resolve);
    socket.once("close", () => resolve());
  });
  const ended = new Promise<string>((resolve, reject) => {
    socket.once("end", () => resolve(heard()));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`closed without a FIN after ${JSON.stringify(heard())}`)));
  });
  ended.catch(() => {});
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    changed();
  });
  const stop = () => {
    over = true;
    changed();
  };
  socket.on("end", stop);
  socket.on("close", stop);
  const wait = async (enough: () => boolean) => {
    while (!enough()) {
      if (over) throw new Error(`the peer ended after ${JSON.stringify(heard().slice(-500))}`);
      await new Promise<void>((resolve) => watchers.push(resolve));
    }
  };
  return {
    socket,
    heard,
    bytes,
    until: async (text) => {
      await wait(() => heard().includes(text));
      return heard();
    },
    untilBytes: async (count) => {
      await wait(() => bytes().length >= count);
      return bytes();
    },
    ended,
    gone,
  };
}

// A consultation in writing: a room that an advisor and a customer share, and a payment that is made in it. Whatever was
// confirmed to somebody is there again after the process has died, and after the room has moved to another release.
import { createServer } from "node:http";
import {
  joinHoldover,
  type JoinedSession,
  type SessionFormat,
  type SessionState,
  type StateValue,
} from "@holdover/worker";
import { WebSocketServer, type WebSocket } from "ws";
import { z } from "zod";
import { settle } from "./payments.ts";

/** A room with more lines than that is over. */
const MOST_LINES = 1000;
const MESSAGE_BYTES = 8 * 1024;

export interface Line {
  /** Given by whoever says it: said twice, it is kept once. */
  readonly id: string;
  readonly from: string;
  readonly text: string;
  /** Under which the line was written. */
  readonly fence: number;
  /** When it was said; null where whoever kept it did not know. */
  readonly atMs: number | null;
}

export interface Payment {
  readonly step: "open" | "authorised" | "captured";
  readonly cents: number;
}

/** How a release keeps a room. */
export interface Model {
  readonly formats: readonly SessionFormat<unknown>[];
  readonly lines: Kept<readonly Line[]>;
  readonly payment: Kept<Payment>;
}

interface Kept<Value> {
  read(state: SessionState): Promise<Value>;
  value(value: Value): StateValue<unknown>;
}

const told = z.discriminatedUnion("type", [
  /** `afterMs`: it is said so much later, as a reminder is. */
  z.object({
    type: z.literal("say"),
    id: z.string().min(1).max(64),
    text: z.string().min(1).max(1000),
    afterMs: z.int().min(0).max(5000).default(0),
  }),
  z.object({ type: z.literal("pay"), cents: z.int().min(1).max(1_000_000) }),
]);
type Told = z.output<typeof told>;

/** One room as this process has it. */
class Room {
  readonly session: JoinedSession;
  readonly people = new Set<WebSocket>();
  readonly #model: Model;
  readonly #loaded: Promise<void>;
  #lines: readonly Line[] = [];
  #payment: Payment = { step: "open", cents: 0 };
  /** One change after another. */
  #turn: Promise<unknown>;

  constructor(session: JoinedSession, model: Model) {
    this.session = session;
    this.#model = model;
    this.#loaded = this.#load();
    // A payment that a process began and did not live to end is gone on with.
    this.#turn = this.#loaded.then(() => this.#goOn()).catch((thrown: unknown) => this.#refused("payment", thrown));
  }

  /** @throws what the store says */
  async enter(socket: WebSocket): Promise<void> {
    await this.#loaded;
    this.people.add(socket);
    const { fence } = this.session;
    send(socket, { type: "welcome", ...PLACE, fence, lines: this.#lines, payment: this.#payment });
  }

  async hear(socket: WebSocket, from: string, message: Told): Promise<void> {
    if (message.type === "say" && message.afterMs > 0)
      await new Promise((resolve) => setTimeout(resolve, message.afterMs));
    const change = message.type === "say" ? () => this.#say(from, message) : () => this.#pay(message.cents);
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    try {
      await done;
      if (message.type === "say") send(socket, { type: "kept", id: message.id });
    } catch (thrown) {
      this.#refused(message.type, thrown);
      send(socket, { type: "refused", id: message.type === "say" ? message.id : null });
    }
  }

  async #load(): Promise<void> {
    const { state } = this.session;
    this.#lines = await this.#model.lines.read(state);
    this.#payment = await this.#model.payment.read(state);
  }

  async #say(from: string, { id, text }: { readonly id: string; readonly text: string }): Promise<void> {
    if (this.#lines.some((line) => line.id === id)) return;
    if (this.#lines.length >= MOST_LINES) throw new Error("this room is full");
    const line = { id, from, text, fence: this.session.fence, atMs: Date.now() };
    const lines = [...this.#lines, line];
    await this.session.state.write([this.#model.lines.value(lines)]);
    this.#lines = lines;
    this.#tell({ type: "line", line });
  }

  async #pay(cents: number): Promise<void> {
    if (this.#payment.step !== "open") return;
    await this.#become({ step: "authorised", cents });
    await this.#goOn();
  }

  /** Captures what was authorised: by the room's key, so that it is done once, and under its fence. */
  async #goOn(): Promise<void> {
    const { step, cents } = this.#payment;
    if (step !== "authorised") return;
    await settle({ room: this.session.key, fence: this.session.fence, cents }, this.session.state.lost);
    await this.#become({ step: "captured", cents });
  }

  async #become(payment: Payment): Promise<void> {
    await this.session.state.write([this.#model.payment.value(payment)]);
    this.#payment = payment;
    this.#tell({ type: "payment", payment });
  }

  #tell(message: object): void {
    for (const socket of this.people) send(socket, message);
  }

  #refused(what: string, thrown: unknown): void {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    const { key: room, fence } = this.session;
    console.log(JSON.stringify({ event: "not.kept", what, room, fence, code, problem }));
  }
}

const PLACE = {
  release: process.env["HOLDOVER_RELEASE"] ?? "dev",
  instance: process.env["HOLDOVER_INSTANCE"] ?? `dev-${process.pid}`,
};

/** Runs until it has drained. */
export async function serve(model: Model): Promise<void> {
  const rooms = new Map<string, Room>();
  const server = createServer((request, response) => {
    if (holdover.probe(request, response)) return;
    response.writeHead(404).end("There is a WebSocket at /?room=NAME&name=YOURS\n");
  });
  const holdover = await joinHoldover({ formats: model.formats, server });

  const roomOf = (session: JoinedSession): Room => {
    const known = rooms.get(session.key);
    if (known?.session === session) return known;
    const room = new Room(session, model);
    rooms.set(session.key, room);
    const forget = (): void => {
      if (rooms.get(session.key) === room) rooms.delete(session.key);
    };
    session.signal.addEventListener("abort", forget);
    return room;
  };

  const sockets = new WebSocketServer({ server, maxPayload: MESSAGE_BYTES });
  sockets.on("connection", (socket, request) => {
    const query = new URL(request.url ?? "/", "http://box").searchParams;
    const session = holdover.sessionOf(request, query.get("room") ?? "lobby");
    if (!session) return socket.close(1008, "no room");
    const room = roomOf(session);
    const name = (query.get("name") ?? "somebody").slice(0, 64);
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => {
      const message = read(data.toString());
      if (message) void room.hear(socket, name, message);
      else
        send(socket, {
          type: "error",
          problem: 'send {"type":"say","id":"…","text":"…"} or {"type":"pay","cents":100}',
        });
    });
    socket.on("close", () => {
      room.people.delete(socket);
      if (room.people.size === 0 && rooms.get(session.key) === room) rooms.delete(session.key);
    });
    room.enter(socket).catch((thrown: unknown) => {
      console.log(JSON.stringify({ event: "room.unreadable", room: session.key, problem: String(thrown) }));
      socket.close(1013, "this room cannot be read now; retry=1000");
    });
  });
  server.listen(Number(process.env["PORT"] ?? 3000), process.env["HOST"] ?? "127.0.0.1");
}

function read(text: string): Told | null {
  try {
    return told.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function send(socket: WebSocket, message: object): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
}

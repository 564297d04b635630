// The line between one browser and its room: a WebSocket, whatever comes on it, and how one notices that it is dead.
import type { WebSocket } from "ws";
import { z } from "zod";
import { OFFER_BYTES, OfferRefused } from "./sfu.ts";
import type { Person, Room } from "./room.ts";

/** An offer, and what JSON makes of its line ends. */
export const MESSAGE_BYTES = 2 * OFFER_BYTES;
/** Who does not say who he is within this, ms, gets the line closed. */
const ENTER_MS = 10_000;
/** A browser that answers no ping for as long has gone without a word, ms. */
const PING_MS = 5_000;
/** Messages that may wait for the one before; somebody who sends more is not a person. */
const MOST_WAITING = 32;
/** Who reads slower than this much behind would fill our memory. */
const BACKLOG_BYTES = 1024 * 1024;

/** Why a line is closed; a browser that reads one of these does not come back by itself. */
const CLOSED = { full: 4001, replaced: 4002, wrong: 4003 } as const;

const message = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("enter"),
    name: z.string().trim().min(1).max(40),
    role: z.enum(["advisor", "customer"]),
    token: z.string().max(64).nullable(),
  }),
  /** `call` says to which offer the answer belongs. */
  z.object({ type: z.literal("offer"), call: z.int(), sdp: z.string().max(OFFER_BYTES) }),
  z.object({ type: z.literal("write"), id: z.string().min(1).max(64), text: z.string().trim().min(1).max(300) }),
  z.object({ type: z.literal("agree") }),
]);
type Message = z.output<typeof message>;

/** Serves one line until it ends. */
export function attend(socket: WebSocket, room: Room): void {
  let person: Person | null = null;
  let waiting = 0;
  let turn = Promise.resolve();
  let isAlive = true;

  const send = (message: object): void => {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > BACKLOG_BYTES) return socket.terminate();
    socket.send(JSON.stringify(message));
  };
  const tell = (message: { type?: string }): void => {
    if (message.type === "replaced") socket.close(CLOSED.replaced, "you are here in another window");
    else send(message);
  };

  const hear = async (heard: Message): Promise<void> => {
    if (heard.type === "enter") {
      if (person) throw new Error("you have entered");
      person = await room.enter(heard, tell);
      if (!person) return socket.close(CLOSED.full, "every seat of this call is taken");
      clearTimeout(nameless);
      return;
    }
    if (!person) throw new Error("enter first");
    if (heard.type === "offer") send({ type: "answer", call: heard.call, sdp: await room.connect(person, heard.sdp) });
    else if (heard.type === "agree") await room.agree(person);
    else {
      await room.write(person, heard);
      send({ type: "kept", id: heard.id });
    }
  };

  const refuse = (heard: Message, thrown: unknown): void => {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    send({ type: "refused", what: heard.type, id: heard.type === "write" ? heard.id : null, problem });
    if (!(thrown instanceof OfferRefused))
      console.log(JSON.stringify({ event: "refused", what: heard.type, room: room.session.key, problem }));
    // Without a room there is nothing to stay for: the browser comes back, maybe to a process that can read it.
    if (heard.type === "enter" && !person) socket.close(1013, "this room cannot be read now");
  };

  room.arrive();
  const nameless = setTimeout(() => socket.close(CLOSED.wrong, "nobody entered"), ENTER_MS);
  const pings = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_MS);
  socket.on("pong", () => {
    isAlive = true;
  });
  // "close" follows, and does the rest.
  socket.on("error", () => {});
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    const heard = isBinary ? null : read(data.toString());
    if (!heard) return socket.close(CLOSED.wrong, "this is no message of the page");
    waiting += 1;
    if (waiting > MOST_WAITING) return socket.close(CLOSED.wrong, "slower, please");
    turn = turn
      .then(() => hear(heard))
      .catch((thrown: unknown) => refuse(heard, thrown))
      .finally(() => {
        waiting -= 1;
      });
  });
  socket.on("close", (code) => {
    clearTimeout(nameless);
    clearInterval(pings);
    // 1000 and 1001 come of a browser that hung up or left the page; anything else of a broken line. Whoever is just
    // entering has done so first.
    void turn.then(() => room.gone(person, tell, code === 1000 || code === 1001));
  });
}

function read(text: string): Message | null {
  try {
    return message.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

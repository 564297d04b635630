import { WebSocket } from "ws";
import type { RoomLedger } from "./room-ledger.ts";

/** What the rooms service of the examples says first. */
export interface Welcome {
  readonly release: string;
  readonly instance: string;
  readonly members: readonly string[];
  readonly history: readonly RoomMessage[];
}

export interface RoomMessage {
  readonly from: string;
  readonly text: string;
  /** The number that its sender gave it: 1 for the first, then without a gap. */
  readonly n: number;
}

export interface RoomClientOptions {
  /** Where the service is: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Names the client; unique within the room. */
  readonly name: string;
  /** The books of the room, shared by all its clients. */
  readonly ledger: RoomLedger;
  /** From 0 up to 1; for the jitter of reconnects. */
  readonly random?: () => number;
}

/** A member of a room, as a user's client would be: it stays until it hangs up, and comes back when it is dropped. */
export interface RoomClient {
  readonly name: string;
  /** One for every connection it has had, oldest first. */
  readonly welcomes: readonly Welcome[];
  /** Sends the next message. Returns its number; undefined while it is not connected, and then nothing was sent. */
  say(text: string): number | undefined;
  /**
   * Hangs up by its own choice. What is due to it by then still has to come, for at most {@link SETTLE_MS};
   * what others send from now on is no longer due.
   */
  leave(): Promise<void>;
  /** Connects again after {@link leave}. Resolves with its welcome. */
  rejoin(): Promise<Welcome>;
  /** Ends it at once, whatever is due: for clean-up, not for accounts. */
  destroy(): void;
}

/** Deliveries on loopback take milliseconds: what has not come after this long is lost. */
export const SETTLE_MS = 5000;
const FIRST_DELAY_MS = 50;
const MOST_DELAY_MS = 2000;

/**
 * Joins a room. Resolves at the welcome; a refused connection is counted and tried again, up to `attempts` times.
 * @throws Error when every attempt was refused
 */
export async function joinRoom(options: RoomClientOptions, attempts = 5): Promise<RoomClient> {
  const { name, ledger, random = Math.random } = options;
  const url = new URL(options.url);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = new URLSearchParams({ room: ledger.room, name }).toString();

  const welcomes: Welcome[] = [];
  let socket: WebSocket | undefined;
  let retry: NodeJS.Timeout | undefined;
  /** Whether it wants to be in the room: a close that comes while it does is a drop. */
  let staying = false;
  let leaving = false;

  const connect = () =>
    new Promise<Welcome>((resolve, reject) => {
      const connection = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: SETTLE_MS });
      let welcomed = false;
      let problem = "";
      socket = connection;
      connection.on("message", (data) => {
        const message = JSON.parse(textOf(data)) as { type: string } & Welcome & RoomMessage;
        if (message.type === "welcome") {
          welcomed = true;
          welcomes.push(message);
          ledger.arrives(name);
          resolve(message);
        } else if (message.type === "message") {
          ledger.receives(name, message.from, message.n);
        }
      });
      connection.on("error", (error) => (problem = `: ${error.message}`));
      connection.on("close", (code, reason) => {
        ledger.departs(name);
        const why = `${code} ${reason.toString()}${problem}`;
        if (!staying) return reject(new Error(`${name} left before it was welcome`));
        if (welcomed) {
          ledger.drops(name, why);
          comeBack(FIRST_DELAY_MS);
        } else {
          ledger.refuses(name, why);
          reject(new Error(`${name} was refused in ${ledger.room}: ${why}`));
        }
      });
    });

  const comeBack = (delayMs: number) => {
    // Half to the whole of the delay: a room full of clients must not come back in one instant.
    retry = setTimeout(
      () =>
        void connect().catch(() => {
          if (staying) comeBack(Math.min(MOST_DELAY_MS, delayMs * 2));
        }),
      delayMs * (0.5 + random() / 2),
    );
  };

  const enter = async (): Promise<Welcome> => {
    staying = true;
    leaving = false;
    for (let attempt = 1, delayMs = FIRST_DELAY_MS; ; attempt++, delayMs *= 2) {
      try {
        return await connect();
      } catch (error) {
        if (!staying || attempt >= attempts) {
          staying = false;
          throw error;
        }
        await new Promise((resolve) => (retry = setTimeout(resolve, delayMs * (0.5 + random() / 2))));
      }
    }
  };

  await enter();
  return {
    name,
    welcomes,
    say(text) {
      if (leaving || socket?.readyState !== WebSocket.OPEN) return undefined;
      const n = ledger.sends(name);
      socket.send(JSON.stringify({ text, n }));
      return n;
    },
    async leave() {
      leaving = true;
      ledger.departs(name);
      await ledger.settled(SETTLE_MS, name);
      staying = false;
      clearTimeout(retry);
      const closing = socket;
      if (!closing || closing.readyState === WebSocket.CLOSED) return;
      await new Promise((resolve) => {
        closing.once("close", resolve);
        closing.close(1000);
      });
    },
    rejoin: enter,
    destroy() {
      staying = false;
      clearTimeout(retry);
      socket?.terminate();
    },
  };
}

function textOf(data: WebSocket.RawData): string {
  return (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as ArrayBuffer)).toString("utf8");
}

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { WebSocket } from "ws";

/** A client that was cut off comes back after up to so long, ms. */
const BACK_MS = 200;
/** How long a room may take to be there again, ms. */
const WELCOME_MS = 15_000;

interface Line {
  readonly id: string;
  readonly fence: number;
}

interface Welcome {
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
  readonly lines: readonly Line[];
  readonly payment: { readonly step: string; readonly cents: number };
}

/** One person in one room, who says things and says again what was not confirmed. */
export interface Party {
  readonly room: string;
  /** What was confirmed to have been kept. */
  readonly kept: ReadonlySet<string>;
  say(afterMs?: number): void;
  pay(cents: number): void;
  /** The last welcome. */
  welcome(): Welcome | null;
  /** How often it came back. */
  returns(): number;
  /** Resolves when everything that was said is confirmed. @throws Error after 15 s */
  settled(): Promise<void>;
  /** Hangs up; nothing comes back. */
  close(): void;
}

/** What went wrong, as it is found. */
export interface Faults {
  /** Confirmed, and not there when somebody looked. */
  readonly lost: Set<string>;
  /** There twice. */
  readonly twice: Set<string>;
  /** Written under a fence that was over. */
  readonly stale: Set<string>;
}

/** @param faults what is wrong with a transcript is put there */
export function enterRoom(url: string, room: string, name: string, faults: Faults): Party {
  const unkept = new Map<string, number>();
  const kept = new Set<string>();
  let socket: WebSocket | null = null;
  let welcome: Welcome | null = null;
  let returns = -1;
  let said = 0;
  let closed = false;
  let owes = 0;
  let settle: (() => void) | null = null;

  const send = (message: object): void => {
    if (welcome && socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  const look = (lines: readonly Line[]): void => {
    const seen = new Set<string>();
    let fence = 0;
    for (const line of lines) {
      if (seen.has(line.id)) faults.twice.add(`${room} ${line.id}`);
      seen.add(line.id);
      if (line.fence < fence) faults.stale.add(`${room} ${line.id}`);
      fence = Math.max(fence, line.fence);
    }
    for (const id of kept) if (!seen.has(id)) faults.lost.add(`${room} ${id}`);
  };
  const connect = (): void => {
    const opened = new WebSocket(`${url}/?room=${room}&name=${name}`);
    socket = opened;
    opened.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string } & Record<string, unknown>;
      if (message.type === "welcome") {
        welcome = message as unknown as Welcome;
        returns += 1;
        look(welcome.lines);
        // What was not confirmed may have been kept or not: it is said again under the same id.
        for (const id of unkept.keys()) send({ type: "say", id, text: `line ${id}` });
        if (owes > 0 && welcome.payment.step === "open") send({ type: "pay", cents: owes });
      } else if (message.type === "kept") {
        kept.add(String(message["id"]));
        unkept.delete(String(message["id"]));
        if (unkept.size === 0) settle?.();
      }
    });
    opened.on("error", () => {});
    opened.on("close", () => {
      if (closed) return;
      welcome = null;
      setTimeout(connect, Math.random() * BACK_MS);
    });
  };
  connect();

  return {
    room,
    kept,
    say(afterMs = 0) {
      said += 1;
      const id = `${name}-${said}`;
      unkept.set(id, afterMs);
      send({ type: "say", id, text: `line ${id}`, afterMs });
    },
    pay(cents) {
      owes = cents;
      send({ type: "pay", cents });
    },
    welcome: () => welcome,
    returns: () => Math.max(0, returns),
    settled: () =>
      new Promise((resolve, reject) => {
        if (unkept.size === 0) return resolve();
        const late = setTimeout(
          () => reject(new Error(`${room}: ${unkept.size} lines were not confirmed`)),
          WELCOME_MS,
        );
        settle = () => {
          clearTimeout(late);
          resolve();
        };
      }),
    close() {
      closed = true;
      socket?.close(1000);
    },
  };
}

/** A payment service that somebody else runs: it captures a payment once, and for whoever holds the room alone. */
export interface PaymentService {
  readonly url: string;
  readonly captured: ReadonlyMap<string, number>;
  /** Calls with a fence below one that it had seen. */
  refused(): number;
  close(): Promise<void>;
}

/** @param slowMs how long a capture takes */
export async function openPaymentService(slowMs: number): Promise<PaymentService> {
  const fences = new Map<string, number>();
  const captured = new Map<string, number>();
  let refused = 0;
  const capture = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { room, fence } = (await json(request)) as { room: string; fence: number };
    if (fence < (fences.get(room) ?? 0)) {
      refused += 1;
      return void response.writeHead(409).end();
    }
    fences.set(room, fence);
    await new Promise((resolve) => setTimeout(resolve, slowMs));
    if (fence < (fences.get(room) ?? 0)) {
      refused += 1;
      return void response.writeHead(409).end();
    }
    // Whoever asks twice under one name has it done once; a second capture would be a second entry here.
    if (!captured.has(room)) captured.set(room, fence);
    response.end();
  };
  const server = createServer((request, response) => {
    // A caller that was killed in the middle of its call has no answer to get.
    capture(request, response).catch(() => void response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    captured,
    refused: () => refused,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

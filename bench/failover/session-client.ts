import { WebSocket } from "ws";

/** How a session was served again after its socket had closed. Times are performance.now(). */
export interface ServedAgain {
  readonly instance: string;
  readonly closedAtMs: number;
  readonly servedAtMs: number;
  /** Connections that were refused in between. */
  readonly refused: number;
  /** From the arrival of its connection to its state having been read there, ms. */
  readonly readMs: number;
}

/** The client of one session. It connects again at once, without any wait, whenever its socket has closed. */
export interface SessionClient {
  /** Where it was served last. */
  instance(): string;
  /** Resolves at the first message that is served on the next connection. */
  servedAgain(): Promise<ServedAgain>;
  close(): void;
}

/** Resolves when its first message was served. */
export async function openSession(url: string, key: string): Promise<SessionClient> {
  const target = new URL(url.replace(/^http/, "ws"));
  target.searchParams.set("session", key);
  let socket: WebSocket;
  let instance = "";
  let closed = false;
  let closedAtMs = 0;
  let refused = 0;
  /** Null before the first message: the session may have been there before this client. */
  let count: number | null = null;
  let served: (again: ServedAgain) => void = () => {};

  const dial = (): void => {
    const mine = new WebSocket(target, { perMessageDeflate: false });
    let answered = false;
    socket = mine;
    mine.on("open", () => mine.send("count"));
    // A close follows.
    mine.on("error", () => {});
    mine.on("message", (data: Buffer) => {
      answered = true;
      const message = JSON.parse(data.toString()) as { instance: string; count: number; readMs: number };
      ({ instance } = message);
      // Its last number was confirmed to it: the next one has to follow, wherever it comes from.
      if (count !== null && message.count !== count + 1)
        throw new Error(`${key} was at ${count}, and ${instance} goes on at ${message.count}`);
      ({ count } = message);
      served({ instance, closedAtMs, servedAtMs: performance.now(), refused, readMs: message.readMs });
      refused = 0;
    });
    mine.on("close", () => {
      if (closed) return;
      if (answered) closedAtMs = performance.now();
      else refused += 1;
      dial();
    });
  };
  const first = new Promise<ServedAgain>((resolve) => (served = resolve));
  dial();
  await first;
  return {
    instance: () => instance,
    servedAgain: () => new Promise((resolve) => (served = resolve)),
    close: () => {
      closed = true;
      socket.terminate();
    },
  };
}

import type { Bounds } from "./numbered.ts";
import type { SessionOption } from "./session-url.ts";

/** The part of a WebSocket that is used: the browser's, Node's or that of ws. */
export interface WebSocketLike {
  addEventListener(kind: "open" | "message" | "close" | "error", listener: (event: unknown) => void): void;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface ConnectOptions extends Partial<Bounds> {
  /** The session key, for a service that reads it from the query. Left out: the URL is taken as it is. */
  readonly session?: SessionOption;
  /**
   * True unless set: messages are numbered, and resumed after a cut. The application must take the socket with
   * `openChannels` of @holdover/worker. False: plain text messages, for any server; what is lost with a connection is lost.
   */
  readonly numbered?: boolean;
  /** First wait at the most, ms; 1,000 unless set. */
  readonly baseMs?: number;
  /** Longest wait, ms; 30,000 unless set. */
  readonly capMs?: number;
  /** An end that is silent for so long when an answer is due is taken for gone, ms; 30,000 unless set. */
  readonly answerMs?: number;
  /** Close codes after which not to come back, besides 1000 to 1003 and 1007 to 1010. */
  readonly stopOn?: (code: number, reason: string) => boolean;
  /** From 0 up to 1. Math.random unless set. */
  readonly random?: () => number;
  readonly clock?: Clock;
  /** Makes a WebSocket, `(url) => new WebSocket(url, { headers })` with ws; the global one unless set. */
  readonly webSocket?: (url: string) => WebSocketLike;
  /** Where `online` is told; the window unless set. */
  readonly network?: NetworkEvents;
}

export interface Clock {
  /** Time in ms that only grows. */
  now(): number;
  /** Runs it after so many ms; returns how to call it off. */
  after(ms: number, run: () => void): () => void;
}

export interface NetworkEvents {
  addEventListener(event: "online", listener: () => void): void;
  removeEventListener(event: "online", listener: () => void): void;
}

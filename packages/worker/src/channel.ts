/** The server's end of a WebSocket: that of ws, or one that is like it. */
export interface ChannelSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): unknown;
  on(event: "close", listener: (code: number) => void): unknown;
  on(event: "error", listener: () => void): unknown;
}

/**
 * A client's numbered messages, both ways. It outlives its sockets: what is sent while the client is away is sent again when
 * it is back.
 */
export interface Channel {
  /** The session key that the socket was accepted with. */
  readonly session: string;
  /** The client had a channel before, on an instance that is gone or that kept it no longer; it was told so. */
  readonly afterReset: boolean;
  /** A connection is there now. */
  readonly connected: boolean;
  /** Sends it now, or when the client is back. @throws ChannelError FULL, TOO_LARGE, ENDED; then it is not sent */
  send(text: string): void;
  /** Ends it for good: its client does not come back. @param code 1000 unless set @param reason up to 123 bytes */
  end(code?: number, reason?: string): void;
}

/**
 * Why a channel is over: its client hung up (`closed`), did not come back within the linger, or before its place was needed
 * (`expired`), or the application ended it (`ended`).
 */
export type ChannelEnd = "closed" | "expired" | "ended";

/** What the application does with one channel. What these throw goes to the socket's emitter or timer, as it would without us. */
export interface ChannelListener {
  /** Each message once, in the order in which it was sent. */
  message(text: string): void;
  /** Its connection is lost; it lingers. */
  away?(): void;
  /** Its client is back, and nothing is missing. */
  back?(): void;
  /** It is over. What was not acknowledged may have reached the client or not. */
  end?(how: ChannelEnd, unacknowledged: readonly string[]): void;
}

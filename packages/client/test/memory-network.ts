import type { WebSocketLike } from "@holdover/client";
import type { ChannelSocket } from "@holdover/worker";

type Parcel =
  | { readonly kind: "open" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/** One WebSocket, both ends of it and what is under way in each direction. Nothing arrives before it is delivered. */
export class Link {
  readonly url: string;
  readonly toServer: Parcel[] = [{ kind: "open" }];
  readonly toClient: Parcel[] = [];
  /** The channel that the client has named last. */
  channel: string | null = null;
  readonly client: WebSocketLike;
  readonly #accept: (socket: ChannelSocket) => void;
  #onMessage: (data: unknown, isBinary: boolean) => void = () => {};
  #onClose: (code: number) => void = () => {};
  readonly #listeners = new Map<string, (event: object) => void>();
  #clientClosing = false;
  #serverClosing = false;

  constructor(url: string, accept: (socket: ChannelSocket) => void) {
    this.url = url;
    this.#accept = accept;
    this.client = {
      addEventListener: (kind, listener) => {
        this.#listeners.set(kind, listener);
      },
      send: (text) => {
        this.channel = channelIn(text) ?? this.channel;
        if (!this.#clientClosing) this.toServer.push({ kind: "text", text });
      },
      close: (code = 1005, reason = "") => {
        if (this.#clientClosing) return;
        this.#clientClosing = true;
        this.toServer.push({ kind: "close", code, reason });
      },
    };
  }

  readonly server: ChannelSocket = {
    send: (text: string) => {
      if (!this.#serverClosing) this.toClient.push({ kind: "text", text });
    },
    close: (code: number, reason: string) => {
      if (this.#serverClosing) return;
      this.#serverClosing = true;
      this.toClient.push({ kind: "close", code, reason });
    },
    on: (event: string, listener: never) => {
      if (event === "message") this.#onMessage = listener;
      if (event === "close") this.#onClose = listener;
    },
  };

  /** The channel that the next parcel to the server names, where it is a hello. */
  get named(): string | null {
    const [next] = this.toServer;
    return next?.kind === "text" ? channelIn(next.text) : null;
  }

  deliverToServer(): void {
    const parcel = this.toServer.shift();
    if (parcel?.kind === "open") {
      this.toClient.push(parcel);
      this.#accept(this.server);
    } else if (parcel?.kind === "text") this.#onMessage(Buffer.from(parcel.text), false);
    else if (parcel) {
      this.server.close(parcel.code, parcel.reason);
      this.#onClose(parcel.code);
    }
  }

  deliverToClient(): void {
    const parcel = this.toClient.shift();
    if (!parcel) return;
    if (parcel.kind === "close") this.client.close(parcel.code, parcel.reason);
    if (parcel.kind === "text") this.#listeners.get("message")?.({ data: parcel.text });
    else this.#listeners.get(parcel.kind)?.(parcel);
  }

  /** The connection breaks. So many parcels of each direction still arrive, and each end learns of it after them. */
  cut(keptToServer: number, keptToClient: number, code = 1006, reason = ""): void {
    if (this.#clientClosing && this.#serverClosing) return;
    this.#clientClosing = true;
    this.#serverClosing = true;
    this.toServer.splice(keptToServer);
    this.toClient.splice(keptToClient);
    this.toServer.push({ kind: "close", code, reason });
    this.toClient.push({ kind: "close", code, reason });
  }

  get quiet(): boolean {
    return this.toServer.length + this.toClient.length === 0;
  }
}

/** Every connection that a client makes, oldest first. */
export class MemoryNetwork {
  readonly links: Link[] = [];
  /** To be given to `connect`. */
  readonly webSocket: (url: string) => WebSocketLike;

  constructor(accept: (socket: ChannelSocket) => void) {
    this.webSocket = (url) => {
      const link = new Link(url, accept);
      this.links.push(link);
      return link.client;
    };
  }

  get last(): Link {
    const link = this.links.at(-1);
    if (!link) throw new Error("nobody has connected");
    return link;
  }

  /** Delivers until nothing is under way. */
  settle(deliverToServer = (link: Link): void => link.deliverToServer()): void {
    while (this.links.some((link) => !link.quiet)) {
      for (const link of this.links) {
        while (link.toServer.length > 0) deliverToServer(link);
        while (link.toClient.length > 0) link.deliverToClient();
      }
    }
  }
}

function channelIn(text: string): string | null {
  return /^\["holdover",\d+,"([^"]+)"/.exec(text)?.[1] ?? null;
}

/** Where a load goes, and whose CPU is taken at its begin and its end. */
export interface Aim {
  readonly port: number;
  readonly pids: readonly number[];
}

/** What the load process is asked for. One call at a time. */
export type LoadCall =
  /** Ping-pong on connections that stay open. `bytes`: payload of a message. */
  | (Aim & { readonly kind: "messages"; readonly connections: number; readonly bytes: number } & Window)
  /** WebSocket opens, each with a key that was never used, each closed again by the closing handshake. */
  | (Aim & { readonly kind: "opens"; readonly atOnce: number; readonly settleMs: number } & Window)
  /** HTTP requests on kept-alive connections, each with its own known key. */
  | (Aim & { readonly kind: "requests"; readonly connections: number } & Window)
  /** Opens idle WebSockets, each with its own key, and keeps them until `hang-up`. */
  | (Aim & { readonly kind: "idle"; readonly connections: number })
  | { readonly kind: "hang-up" };

interface Window {
  /** Load without being measured, before. */
  readonly warmMs: number;
  readonly ms: number;
}

export interface LoadResult {
  /** Messages there and back, opens or requests that were over within the window. */
  readonly count: number;
  readonly seconds: number;
  /** Of the processes aimed at, within the window and what settles after it. */
  readonly cpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

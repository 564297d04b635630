import type { RoutedService, RoutingTable } from "@holdover/core";

/** What a connection (or request) must be able to do for the session it belongs to. */
export interface HeldConnection {
  /** The session was ended on purpose ("moved", "cut") or its instance died ("lost"). Called at most once; MUST lead to the hold being released. */
  end(how: "moved" | "cut" | "lost"): void;
}

/** A connection's part in a session: while it is held, the session is open. */
export interface Hold {
  readonly release: string;
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly fence: number;
  /** Gives the part back; the second call does nothing. */
  done(): void;
}

export interface SessionHolder {
  /** The table in force. */
  table(): RoutingTable;
  /** Finds the session's place or places it, durably, and joins it. @throws HoldoverError NO_INSTANCE, SESSION_LIMIT, STORE_FAILED */
  hold(service: RoutedService, key: string, connection: HeldConnection): Promise<Hold>;
  /** A session that is the connection itself (an upgrade without a key): it ends with it, no linger. */
  holdConnection(service: RoutedService, connection: HeldConnection): Promise<Hold>;
  /** The instance refused or reset a TCP connection: reported so that its death is seen at once. */
  unreachable(instance: string): void;
}

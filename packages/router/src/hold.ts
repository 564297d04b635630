import type { RoutedService, RoutingTable } from "@holdover/core";

/**
 * How a connection is ended: its session was ended on purpose, "moved" or "cut"; its instance died, "lost"; or the
 * connection alone is too old, "aged", and its session stays where it is.
 */
export type EndHow = "moved" | "cut" | "lost" | "aged";

/** What a connection (or request) must be able to do for the session it belongs to. */
export interface HeldConnection {
  /** Called at most once, but for one that {@link finishes}; MUST lead to the hold being released. */
  end(how: EndHow): void;
  /**
   * It finishes by itself, as a job does: while it is there its session is asked to move, by one `end("moved")`, and not
   * ended. It is told a second time where that takes too long and the session is cut.
   */
  readonly finishes?: boolean;
  /** How many bytes have passed it, both ways. Pings of its protocol are bytes, too; TCP keep-alive is not. */
  bytes(): number;
}

/** A connection's part in a session: while it is held, the session is open. */
export interface Hold {
  /** The session's key. */
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly fence: number;
  /** The session's; null where it has none. */
  readonly label: string | null;
  /** It had no place when it was asked for: it was given one first. */
  readonly placed: boolean;
  /** From now on the connection lasts, as a WebSocket or a stream of events does: it may become too old. */
  lasts(): void;
  /** Gives the part back; the second call does nothing. */
  done(): void;
}

/** A session as the worker of an instance knows it. */
export interface InstanceClaim {
  readonly service: string;
  readonly key: string;
  readonly instance: string;
  readonly fence: number;
}

export type LabelReader = () => string | null;

export interface SessionHolder {
  /** The table in force. */
  table(): RoutingTable;
  /**
   * Finds the session's place or places it, durably, and joins it.
   * @param label reads the session's label, asked only where it has no place yet; left out: none
   * @throws HoldoverError NO_INSTANCE, SESSION_LIMIT, STORE_FAILED
   */
  hold(service: RoutedService, key: string, connection: HeldConnection, label?: LabelReader): Promise<Hold>;
  /** A session that is the connection itself (an upgrade without a key): it ends with it, no linger. */
  holdConnection(service: RoutedService, connection: HeldConnection, label?: LabelReader): Promise<Hold>;
  /**
   * The instance refused or reset a TCP connection: reported so that its death is seen at once. Resolves, within a bounded
   * time, with whether it has gone; then its sessions have lost their place there. Never rejects.
   */
  unreachable(instance: string): Promise<boolean>;
}

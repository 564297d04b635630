import type { AgeBins } from "../forecast.ts";
import type { RoutingTable } from "../routing-table.ts";
import type { SessionCount, SessionEvent } from "../session.ts";

/** A live session, as a router tells of it. */
export interface LiveSession {
  readonly service: string;
  readonly key: string;
  readonly release: string;
  /** Null when its instance died and nobody came back yet. */
  readonly instance: string | null;
  readonly fence: number;
  readonly state: "open" | "lingering";
  readonly openedAtMs: number;
  /** When it began to linger; null while it is open. */
  readonly lingeringSinceMs: number | null;
  readonly connections: number;
  readonly label: string | null;
  /** Since when nothing was sent on it either way, where that makes it wedged; null: it is not. */
  readonly wedgedSinceMs: number | null;
}

/** How old the live sessions of one release and one label are, or of one instance of it. */
export interface AgeGroup {
  readonly release: string;
  /** Null where all instances of the release are taken together. */
  readonly instance: string | null;
  readonly label: string | null;
  /** Ages of the open sessions. */
  readonly open: AgeBins;
  /** What is left of the linger of those that linger. */
  readonly lingering: AgeBins;
}

/** The ages of a service's live sessions at one moment of the data plane's clock. */
export interface SessionAges {
  readonly atMs: number;
  readonly groups: readonly AgeGroup[];
}

export interface AgesQuery {
  readonly service: string;
  readonly by: "release" | "instance";
}

export interface SessionQuery {
  readonly service?: string | undefined;
  readonly release?: string | undefined;
  readonly key?: string | undefined;
  /** 1 to 10,000. */
  readonly limit: number;
}

/** What the data plane has counted since its process began. */
export interface Traffic {
  readonly requests: number;
  readonly upgrades: number;
  readonly connections: number;
  /** Answers that the router gave itself, by code of the error table. */
  readonly refused: Readonly<Record<string, number>>;
}

/** The answer to giving an instance up. */
export type Released = { readonly released: true } | { readonly released: false; readonly sessions: number };

/** What accepts, pins, forwards and closes. */
export interface DataPlane {
  /**
   * Puts a table in force. Resolves once every router follows it: from then on no session is placed by an older one.
   * MUST ignore a table whose number is not above the one in force.
   */
  apply(table: RoutingTable): Promise<void>;

  /**
   * Gives an instance up, if it holds no session: one atomic step, after which nothing is placed on it any more.
   * An instance that does hold sessions is left as it is and `released` is false.
   */
  release(instance: string): Promise<Released>;

  /** Live sessions, oldest first. */
  sessions(query: SessionQuery): Promise<LiveSession[]>;

  /** How old live sessions are. Of a large release a sample is enough: its counts add up to the sessions that there are. */
  ages(query: AgesQuery): Promise<SessionAges>;

  /** Sessions by instance, for those that hold any; null while that is not known. MUST NOT tell zero for unknown. */
  counts(): ReadonlyMap<string, SessionCount> | null;

  /** The number of the table in force; null while that is not known. */
  tableInForce(): number | null;

  traffic(): Traffic | null;

  /** Where clients connect, for people: `http://127.0.0.1:8080`; null while that is not known. */
  address(): string | null;

  /** It is shutting down. */
  closing(): boolean;

  /** Ends the data plane and all it holds: `now` cuts what is live (paced), otherwise its grace runs first. */
  shutdown(now: boolean): Promise<void>;

  /** Calls back after every change of what the getters tell; returns what ends it. */
  subscribe(listener: () => void): () => void;

  /**
   * Hands over session events in order, a batch at a time, with the name of the host that numbered them. The next batch
   * comes after the promise has resolved; a batch whose promise rejects comes again.
   */
  onEvents(listener: (host: string, events: readonly SessionEvent[]) => Promise<void>): () => void;
}

import type { AgeBins } from "../forecast.ts";
import type { FormatTrialReport, FormatTrialRequest } from "../format-gate.ts";
import type { Latencies } from "../latencies.ts";
import type { RoutingTable } from "../routing-table.ts";
import type { KeptSamples, SamplesRequest } from "../saved-samples.ts";
import type { SessionMove, SessionMoved } from "../session-move.ts";
import type { OpenedSession, SessionRequest } from "../session-request.ts";
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
  /** How many of them are jobs: they finish by themselves, and are not moved. */
  readonly jobs: number;
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
  /** A part of the key, in capitals or not. */
  readonly search?: string | undefined;
  readonly state?: LiveSession["state"] | undefined;
  /** Which come first: `oldest` unless set. */
  readonly order?: "oldest" | "newest" | undefined;
  /** 1 to 10,000. */
  readonly limit: number;
}

export interface SessionList {
  /** At most as many as were asked for. */
  readonly sessions: readonly LiveSession[];
  /** How many there are in all that answer the query. */
  readonly matches: number;
}

/** What the data plane has counted since its process began. */
export interface Traffic {
  readonly requests: number;
  readonly upgrades: number;
  readonly connections: number;
  /** Answers that the router gave itself, by code of the error table. */
  readonly refused: Readonly<Record<string, number>>;
  /** From a session being asked for that has no place, to its pin being stored. */
  readonly placing: Latencies;
  /**
   * From the head of a request being read, to a connection to its instance being chosen for it: what the router itself
   * adds. `known`: the session had its place; `placed`: it was given one first.
   */
  readonly added: { readonly known: Latencies; readonly placed: Latencies };
  /** What workers were refused because the fence that they named is over. */
  readonly stale: StaleCalls;
}

/** Refused for their fence: claims and writes of state, and joining a session. */
export interface StaleCalls {
  readonly claim: number;
  readonly write: number;
  readonly attach: number;
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

  /**
   * Opens a session by word, as a job is: places it on a worker of a release that admits new sessions and resolves once
   * that worker has taken it. One that runs already is answered as it is, on whatever release it lives. MUST NOT resolve
   * for a worker that has not taken it, and MUST answer within 5 s.
   *
   * @throws HoldoverError WORKER_NONE where no worker took it, NO_INSTANCE, SERVICE_UNKNOWN, SESSION_LIMIT, STORE_FAILED,
   * HOST_CLOSING, LINK_DOWN; after LINK_DOWN it may have been opened all the same: asking again with its key tells
   */
  open(request: SessionRequest): Promise<OpenedSession>;

  /**
   * Asks the connections of one session to come back, within the disconnect cap, so that it is placed anew; a job is only
   * asked. It ends as `moved` when its turn in the cap comes, and only where it can still be placed then: MUST NOT end one
   * that nothing would take, or that lives under another fence. Without a fence MUST change nothing.
   *
   * @throws HoldoverError SESSION_NOT_LIVE, NO_INSTANCE where nothing would take it, HOST_CLOSING, LINK_DOWN
   */
  move(move: SessionMove): Promise<SessionMoved>;

  /**
   * Tries the session formats of a release and of those that run, each in a process of its own, on values that are stored:
   * see {@link tryFormats}. Waits for an instance of the release to have joined where another one declares formats. MUST
   * answer within 30 s, and MUST NOT change anything.
   *
   * @throws HoldoverError FORMAT_TRIAL_FAILED where a process did not answer, LINK_DOWN, STORE_FAILED
   */
  formats(request: FormatTrialRequest): Promise<FormatTrialReport>;

  /**
   * Samples of what sessions keep, for a file outside the store: each MUST have gone through the `redact` of its format.
   * MUST answer within 30 s.
   *
   * @throws HoldoverError FORMAT_TRIAL_FAILED where a process did not answer, LINK_DOWN, STORE_FAILED
   */
  samples(request: SamplesRequest): Promise<KeptSamples>;

  /** Live sessions. Of a million it MUST find the few, and count the matches, without holding anybody up. */
  sessions(query: SessionQuery): Promise<SessionList>;

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

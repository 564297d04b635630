import type { IncomingMessage, ServerResponse } from "node:http";
import type { FencedSession } from "@holdover/core";
import type { Admission, ReleaseView } from "./release-watch.ts";
import type { JoinedSession } from "./joined-session.ts";
import type { RequestHeaders } from "./session.ts";

/** What this process is to Holdover. */
export interface Membership {
  readonly service: string;
  readonly release: string;
  readonly instance: string;
}

/** This process inside Holdover; outside of it, on a developer's laptop, the same with nobody around it. */
export interface Holdover {
  /** Null outside of Holdover. */
  readonly member: Membership | null;
  /** What this instance takes now: `new` outside of Holdover. */
  readonly admission: Admission;
  readonly draining: boolean;
  /** When what is live on its release has to have ended, epoch ms; null: no such time is set. */
  readonly deadlineMs: number | null;

  /**
   * The session that a request, or the upgrade of a WebSocket, belongs to. The same one for every request of it, for as
   * long as one of them is connected and a minute after that; then its state is let go of here, unless somebody has
   * attached to it.
   * @param key outside of Holdover the session's key, which nobody else knows there; null: it has none
   * @returns null where the request belongs to no session
   */
  sessionOf(request: RequestHeaders & Partial<Pick<IncomingMessage, "socket">>, key?: string): JoinedSession | null;

  /**
   * Begins a session that no connection begins, on this instance, and holds it until it is ended.
   * @param key one that nobody has unless given; one that lives here already is held, under its fence
   * @throws HoldoverError NO_INSTANCE where this instance may not have it, LINK_DOWN, SESSION_LIMIT
   */
  open(session?: { readonly key?: string; readonly label?: string }): Promise<JoinedSession>;

  /** The session of a job that runs here. */
  jobSession(session: FencedSession): JoinedSession;
  /** The session of a job is over. @throws HoldoverError SESSION_NOT_HELD, LINK_DOWN */
  finish(session: FencedSession, how: "hangup" | "cut"): Promise<void>;
  /** The end of so many sessions was forced: for the audit log. @throws HoldoverError LINK_DOWN */
  forced(cut: number, reason: string): Promise<void>;

  /** Whether it can take sessions at all, for a service with `health: { worker: true }`; true from the start unless joined otherwise. */
  ready(isReady: boolean): Promise<void>;

  /**
   * Takes no new session from when this resolves; those that are here go on. SIGTERM does the same, unless it was joined
   * without signals.
   */
  beginDrain(): Promise<void>;
  /** Takes new sessions again, if its release does. */
  cancelDrain(): Promise<void>;
  /** Resolves when it drains and its last session has ended: nothing is placed here any more. */
  readonly drained: Promise<void>;

  /** Calls back at once with what the table says of this release, and on every change; returns what ends it. */
  onRelease(listener: (view: ReleaseView) => void): () => void;

  /**
   * Answers `GET /livez` (alive, also while it drains) and `GET /readyz` (takes new sessions).
   * @returns false for any other request, which is not touched
   */
  probe(request: IncomingMessage, response: ServerResponse): boolean;

  /** Leaves: its sessions stay pinned for half a minute, for a process that joins again. */
  close(): Promise<void>;
}

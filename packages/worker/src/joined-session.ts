import { asHoldoverError, type WorkerCall } from "@holdover/core";
import type { Session } from "./session.ts";
import type { SessionState } from "./state.ts";

/**
 * How a session is being ended from outside: asked to go elsewhere (`moved`), ended by force (`cut`), or its place was
 * lost (`lost`).
 */
export type Ending = "moved" | "cut" | "lost";

/** A session on this instance. */
export interface JoinedSession extends Session {
  readonly label: string | null;
  /** What it keeps: critical values that outlive this instance, and ephemeral ones that a loader makes again. */
  readonly state: SessionState;
  /** Aborted with an {@link Ending} as its reason when the session is no longer this instance's. */
  readonly signal: AbortSignal;
  /**
   * Holds the session as a connection does: it does not linger meanwhile. Call what it resolves with to let go.
   * @throws HoldoverError SESSION_NOT_HELD, LINK_DOWN
   */
  attach(): Promise<() => Promise<void>>;
  /**
   * The session is over: it ends with its last connection, at once where there is none. Its checkpoint goes with it.
   * @throws HoldoverError SESSION_NOT_HELD, LINK_DOWN
   */
  end(): Promise<void>;
}

export interface OwnSessionOptions extends Session {
  readonly label: string | null;
  readonly state: SessionState;
  /** Null outside of Holdover. */
  readonly call: ((call: WorkerCall) => Promise<unknown>) | null;
}

/** The sessions that this process holds by itself, for the next hello. */
export interface HeldSession {
  readonly key: string;
  readonly fence: number;
  /** The session is over when it is left. */
  readonly endsWith: boolean;
}

/** One session as this process knows it. */
export class OwnSession implements JoinedSession {
  readonly key: string;
  readonly fence: number;
  readonly label: string | null;
  readonly state: SessionState;
  readonly #call: OwnSessionOptions["call"];
  readonly #over = new AbortController();
  /** Who has attached to it. */
  #attached = 0;
  #attaching: Promise<void> = Promise.resolve();
  /** It was begun here, by word. */
  #opened = false;

  constructor({ key, fence, label, state, call }: OwnSessionOptions) {
    this.key = key;
    this.fence = fence;
    this.label = label;
    this.state = state;
    this.#call = call;
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** What this process holds of it; null: nothing. */
  get held(): HeldSession | null {
    if (this.#attached === 0 && !this.#opened) return null;
    return { key: this.key, fence: this.fence, endsWith: this.#opened };
  }

  /** It was begun here. */
  opened(): void {
    this.#opened = true;
  }

  ending(how: Ending): void {
    this.#over.abort(how);
    // Asked to go elsewhere it is held until the application lets go; else there is nothing to hold any more.
    if (how === "moved") return;
    this.#opened = false;
    this.#attached = 0;
  }

  async attach(): Promise<() => Promise<void>> {
    this.#attached += 1;
    // The first one says it, and whoever comes meanwhile waits for the same answer.
    if (this.#attached === 1 && !this.#opened) this.#attaching = this.#say("attach");
    try {
      await this.#attaching;
    } catch (thrown) {
      this.#attached = Math.max(0, this.#attached - 1);
      throw thrown;
    }
    let isLeft = false;
    return async () => {
      if (isLeft || this.#attached === 0) return;
      isLeft = true;
      this.#attached -= 1;
      if (this.#attached === 0 && !this.#opened) await this.#say("leave");
    };
  }

  async end(): Promise<void> {
    await this.endAs("hangup");
  }

  async endAs(how: "hangup" | "cut"): Promise<void> {
    const wasOver = this.#over.signal.aborted;
    try {
      // Held until the host has it: a hello in between must not say that it was left.
      await this.#call?.({ name: "end", key: this.key, fence: this.fence, how });
    } catch (thrown) {
      // The link broke, and what was said before had been heard.
      const isOver = !wasOver && this.#over.signal.aborted;
      if (!isOver || asHoldoverError(thrown).code !== "SESSION_NOT_HELD") throw thrown;
    } finally {
      this.#opened = false;
      this.#attached = 0;
    }
  }

  async #say(name: "attach" | "leave"): Promise<void> {
    await this.#call?.({ name, key: this.key, fence: this.fence });
  }
}

import { asHoldoverError, HoldoverError, type Dispatcher } from "@holdover/core";
import type { Holdover } from "./holdover.ts";
import { joinHoldover } from "./join.ts";
import type { JoinOptions } from "./join-options.ts";
import type { JoinedSession } from "./joined-session.ts";

/** Jobs from Holdover's own broker, with the state of their sessions. */
export interface BrokerDispatcher extends Dispatcher {
  /** The session of a job: give it to the pool as its `sessionOf`. */
  readonly sessionOf: (session: { readonly key: string; readonly fence: number }) => JoinedSession;
  /** This process inside Holdover; null before the pool runs. */
  readonly holdover: Holdover | null;
}

/**
 * Takes jobs from Holdover: `POST /v1/services/:service/sessions` brings them. It joins when the pool opens it.
 * @param options as for joinHoldover; signals are the pool's
 */
export function brokerDispatcher(options: Omit<JoinOptions, "jobs" | "signals" | "server"> = {}): BrokerDispatcher {
  let holdover: Holdover | null = null;
  const joined = (): Holdover => {
    if (holdover) return holdover;
    throw new HoldoverError("LINK_DOWN");
  };
  const admissions = new Set<() => void>();
  return {
    get holdover() {
      return holdover;
    },
    sessionOf: (session) => joined().jobSession(session),
    open: async (desk) => {
      holdover = await joinHoldover({ ...options, jobs: desk, signals: false });
      if (!holdover.member)
        options.warn?.("nobody can send it a job: the pool waits for a dispatcher of another kind.");
      for (const subscribe of admissions) subscribe();
    },
    draining: (isDraining) => (isDraining ? joined().beginDrain() : joined().cancelDrain()),
    finished: async (session, end) => {
      try {
        await joined().finish(session, end === "cut" ? "cut" : "hangup");
      } catch (thrown) {
        // It has ended already. Where the host is away, it hears of it with the next hello, which names it no more.
        const { code } = asHoldoverError(thrown);
        if (code !== "SESSION_NOT_HELD" && code !== "LINK_DOWN") throw thrown;
      }
    },
    forced: (cut, reason) => joined().forced(cut, reason),
    deadlineMs: () => holdover?.deadlineMs ?? null,
    onAdmission: (listener) => {
      let end = (): void => {};
      const subscribe = (): void => {
        end = joined().onRelease(({ admission }) => listener(admission));
      };
      if (holdover) subscribe();
      else admissions.add(subscribe);
      return () => {
        admissions.delete(subscribe);
        end();
      };
    },
    close: async () => {
      await holdover?.close();
    },
  };
}

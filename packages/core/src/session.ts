/** Why a session ended; every end has exactly one reason (DESIGN, States). */
export type EndReason = "hangup" | "expired" | "moved" | "cut" | "lost";

/**
 * The life of a session. `open` has a connection; `lingering` waits for a reconnect; `ended` is over for good.
 */
export type SessionState =
  | { readonly name: "open" }
  | { readonly name: "lingering"; readonly sinceMs: number }
  | { readonly name: "ended"; readonly reason: EndReason };

const OPEN: SessionState = { name: "open" };
export const open = (): SessionState => OPEN;
export const lingering = (sinceMs: number): SessionState => ({ name: "lingering", sinceMs });
export const ended = (reason: EndReason): SessionState => ({ name: "ended", reason });

/** The stored fact that a session lives on one release and one instance. */
export interface Pin {
  readonly service: string;
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  /** Grows with every placement of any session of a store, so a later owner always holds the higher one. */
  readonly fence: number;
  /** Epoch time at which the session began; kept when it is placed anew. */
  readonly openedAtMs: number;
  /** Its value of the service's label, as its first request had it; null: none. */
  readonly label: string | null;
}

/** A session that is over, as it goes into the history. */
export interface EndedSession extends Pin {
  readonly reason: EndReason;
  /** When its last connection ended: its length does not contain the linger. */
  readonly endedAtMs: number;
  /** Connections that were closed by this end. */
  readonly connectionsClosed: number;
}

/** Whether a session would have lasted longer, had it been left alone. */
export function isForced(reason: EndReason): boolean {
  return reason === "moved" || reason === "cut" || reason === "lost";
}

/** What happened to sessions that the control plane has to know for good; numbered by the host that saw it. */
export type SessionEvent =
  | { readonly seq: number; readonly atMs: number; readonly kind: "ended"; readonly session: EndedSession }
  /** Its instance died under it. It has not ended: its next connection places it anew. */
  | {
      readonly seq: number;
      readonly atMs: number;
      readonly kind: "disrupted";
      readonly pin: Pin;
      readonly connections: number;
    }
  | {
      readonly seq: number;
      readonly atMs: number;
      readonly kind: "placed-anew";
      readonly pin: Pin;
      readonly from: string;
    };

/**
 * Sessions that hold some instances, open or lingering, by the counts of all instances that hold any.
 * Undefined where the counts are not known, which is not zero.
 */
export function sessionsOn(
  instances: readonly { readonly id: string }[],
  counts: ReadonlyMap<string, SessionCount> | null,
): number | undefined {
  return counts === null
    ? undefined
    : instances.reduce((sum, { id }) => sum + (counts.get(id)?.open ?? 0) + (counts.get(id)?.lingering ?? 0), 0);
}

/** Sessions of one instance at one moment. */
export interface SessionCount {
  readonly open: number;
  readonly lingering: number;
  readonly connections: number;
  /** Of the open ones: those of a retained release without a byte or a ping for as long as its policy says. */
  readonly wedged: number;
}

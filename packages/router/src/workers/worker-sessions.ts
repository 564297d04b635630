import { HoldoverError, WORKER_SESSIONS, type Clock } from "@holdover/core";
import type { EndHow, Hold, HeldConnection } from "../hold.ts";
import type { Sessions } from "../sessions.ts";
import type { Member } from "./worker-link.ts";

/** A worker leaves a session that was cut within so long, ms: an instance must not be held for ever. */
const CUT_MS = 5000;

type Ending = "moved" | "cut" | "lost";

interface Held {
  readonly fence: number;
  readonly hold: Hold;
  /** How it is being ended; null: it is not. */
  ending: Ending | null;
  cancelLeave: () => void;
}

/** A session in a worker's hello. */
export interface ClaimedSession {
  readonly key: string;
  readonly fence: number;
  readonly endsWith: boolean;
}

/** The sessions that the worker of one instance holds itself, as connections hold theirs. They outlast a broken link. */
export class WorkerSessions {
  readonly #member: Member;
  readonly #sessions: Sessions;
  readonly #clock: Clock;
  readonly #tell: (key: string, fence: number, how: Ending) => void;
  readonly #held = new Map<string, Held>();

  /** @param tell says to the worker how a session of its own is being ended */
  constructor(
    member: Member,
    sessions: Sessions,
    clock: Clock,
    tell: (key: string, fence: number, how: Ending) => void,
  ) {
    this.#member = member;
    this.#sessions = sessions;
    this.#clock = clock;
    this.#tell = tell;
  }

  /**
   * Begins a session on this instance.
   * @throws HoldoverError NO_INSTANCE, SESSION_LIMIT, STORE_FAILED
   */
  async open(key: string, label: string | null): Promise<{ fence: number; openedAtMs: number }> {
    const known = this.#held.get(key);
    // One that is being ended is over, although this worker has not left it yet.
    const fence =
      known && !known.ending && this.#lives(key, known.fence) ? known.fence : await this.#openOn(key, label);
    return { fence, openedAtMs: this.#sessions.find(this.#member.service, key)?.openedAtMs ?? this.#clock.now() };
  }

  /** @throws HoldoverError SESSION_NOT_HELD, SESSION_LIMIT */
  attach({ key, fence, endsWith }: ClaimedSession): void {
    if (this.#held.get(key)?.fence === fence) return;
    this.#checkRoom(key);
    const claim = { ...this.#member, key, fence };
    const part = this.#part(key, () => fence);
    this.#keep(key, this.#sessions.attach(claim, part, endsWith));
  }

  leave(key: string, fence: number): void {
    const held = this.#held.get(key);
    if (held?.fence !== fence) return;
    this.#forget(key, held);
    held.hold.done();
  }

  /**
   * The session is over. One that is being ended already, and that this worker holds, is left and nothing more.
   * @throws HoldoverError SESSION_NOT_HELD
   */
  end(key: string, fence: number, how: "hangup" | "cut"): void {
    const held = this.#held.get(key)?.fence === fence ? this.#held.get(key) : undefined;
    // It is not told of an end that it asks for.
    if (held) this.#forget(key, held);
    try {
      this.#sessions.finish({ ...this.#member, key, fence }, how);
    } catch (thrown) {
      if (!held || !isNotHeld(thrown)) throw thrown;
    } finally {
      held?.hold.done();
    }
  }

  /** Nobody knows whether the worker has begun it: it is over, and the worker hears of it. */
  giveUp(key: string, fence: number): void {
    try {
      this.#sessions.finish({ ...this.#member, key, fence }, "cut");
    } catch (thrown) {
      if (!isNotHeld(thrown)) throw thrown;
    }
  }

  /** Takes up again what a worker held before its link broke, or before this host began; returns what is its own no more. */
  resume(claimed: readonly ClaimedSession[]): ClaimedSession[] {
    const still = new Map(claimed.map(({ key, fence }) => [key, fence]));
    for (const [key, { fence }] of this.#held) if (still.get(key) !== fence) this.leave(key, fence);
    return claimed.filter((session) => {
      try {
        this.attach(session);
        return false;
      } catch (thrown) {
        if (isNotHeld(thrown)) return true;
        throw thrown;
      }
    });
  }

  /** Says once more how sessions are being ended: it may have been said while the link was broken. */
  tellAgain(): void {
    for (const [key, { fence, ending }] of this.#held) if (ending) this.#tell(key, fence, ending);
  }

  /** The worker has not come back: its sessions wait for whoever comes. */
  outlast(): void {
    for (const [key, { fence }] of this.#held) this.#sessions.outlast({ ...this.#member, key, fence });
    this.leaveAll();
  }

  leaveAll(): void {
    for (const [key, { fence }] of this.#held) this.leave(key, fence);
  }

  #lives(key: string, fence: number): boolean {
    const place = this.#sessions.find(this.#member.service, key)?.place;
    return place?.instance === this.#member.instance && place.fence === fence;
  }

  async #openOn(key: string, label: string | null): Promise<number> {
    this.#checkRoom(key);
    const { service, instance } = this.#member;
    let fence = 0;
    const hold = await this.#sessions.holdOn(
      service,
      key,
      instance,
      this.#part(key, () => fence),
      label,
    );
    ({ fence } = hold);
    this.#keep(key, hold);
    return fence;
  }

  /** All of them have to fit into the worker's hello. */
  #checkRoom(key: string): void {
    if (this.#held.has(key) || this.#held.size < WORKER_SESSIONS) return;
    throw new HoldoverError("SESSION_LIMIT", { limit: WORKER_SESSIONS });
  }

  #keep(key: string, hold: Hold): void {
    const before = this.#held.get(key);
    if (before) this.leave(key, before.fence);
    this.#held.set(key, { fence: hold.fence, hold, ending: null, cancelLeave: () => {} });
  }

  #forget(key: string, { cancelLeave }: Held): void {
    cancelLeave();
    this.#held.delete(key);
  }

  #part(key: string, fence: () => number): HeldConnection {
    return {
      end: (how: EndHow) => {
        const of = fence();
        const held = this.#held.get(key);
        if (held?.fence !== of) return;
        // Not a connection that lasts, so it is never told that it is too old.
        const told = how === "aged" ? "moved" : how;
        held.ending = told;
        this.#tell(key, of, told);
        if (told === "lost") return this.leave(key, of);
        // Asked to move it finishes, and is cut at the end of the grace of its release where it does not.
        if (told === "cut") held.cancelLeave = this.#clock.after(CUT_MS, () => this.leave(key, of));
      },
      finishes: true,
      // What a worker does with a session passes it by, so it never counts as wedged.
      bytes: () => this.#clock.now(),
    };
  }
}

function isNotHeld(thrown: unknown): boolean {
  return thrown instanceof HoldoverError && thrown.code === "SESSION_NOT_HELD";
}

import type { Socket } from "node:net";
import type { HeldSession, OwnSession } from "./joined-session.ts";

/** A session that nobody is connected to any more is remembered for so long, ms: what it keeps in memory is still there. */
const REMEMBERED_MS = 60_000;

interface Known {
  readonly session: OwnSession;
  readonly sockets: Set<Socket>;
  forget: NodeJS.Timeout | null;
}

/** The sessions of this process: one object for each, however many requests it has. */
export class SessionCache {
  readonly #known = new Map<string, Known>();
  /** Whose request came last on a socket: the router has some that sessions use one after the other. */
  readonly #lastOn = new WeakMap<Socket, Known>();
  readonly #forgotten: (session: OwnSession) => void;

  /** @param forgotten called with a session that this process has nothing to do with any more */
  constructor(forgotten: (session: OwnSession) => void) {
    this.#forgotten = forgotten;
  }

  get size(): number {
    return this.#known.size;
  }

  /** @param make where it is not known yet under this fence; an older one is lost to this process */
  get(key: string, fence: number, make: () => OwnSession): OwnSession {
    const before = this.#known.get(key);
    if (before?.session.fence === fence) return before.session;
    // A request that was long under way brings a fence that is over.
    if (before && before.session.fence > fence) return make();
    if (before) {
      before.session.ending("lost");
      this.#drop(before);
    }
    const known: Known = { session: make(), sockets: new Set(), forget: null };
    this.#known.set(key, known);
    this.#forgetLater(known);
    return known.session;
  }

  has(key: string, fence: number): boolean {
    return this.#known.get(key)?.session.fence === fence;
  }

  /** Keeps a session in mind while a socket of it is open. */
  use(session: OwnSession, socket: Socket): void {
    const known = this.#known.get(session.key);
    const last = this.#lastOn.get(socket);
    if (known?.session !== session || last === known || socket.destroyed) return;
    this.#lastOn.set(socket, known);
    known.sockets.add(socket);
    if (known.forget) clearTimeout(known.forget);
    if (last) return this.#leave(last, socket);
    socket.once("close", () => {
      const now = this.#lastOn.get(socket);
      if (now) this.#leave(now, socket);
    });
  }

  ending(key: string, fence: number, how: "moved" | "cut" | "lost"): void {
    const known = this.#known.get(key);
    if (known?.session.fence === fence) known.session.ending(how);
  }

  /** What this process holds by itself. */
  held(): HeldSession[] {
    return [...this.#known.values()].flatMap(({ session }) => session.held ?? []);
  }

  close(): void {
    for (const { forget } of this.#known.values()) if (forget) clearTimeout(forget);
    this.#known.clear();
  }

  #leave(known: Known, socket: Socket): void {
    known.sockets.delete(socket);
    this.#forgetLater(known);
  }

  #forgetLater(known: Known): void {
    if (this.#known.get(known.session.key) !== known || known.sockets.size > 0) return;
    if (known.forget) clearTimeout(known.forget);
    known.forget = setTimeout(() => {
      if (known.session.held) this.#forgetLater(known);
      else this.#drop(known);
    }, REMEMBERED_MS);
    known.forget.unref();
  }

  #drop(known: Known): void {
    if (known.forget) clearTimeout(known.forget);
    this.#known.delete(known.session.key);
    this.#forgotten(known.session);
  }
}
